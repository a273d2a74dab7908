package main

import "strings"

// applyDefaults sets what the API server would set when it stores an object,
// for the fields that policies rely on: defaulting of the core/v1 types in
// Kubernetes' API conventions ("Defaulting") and API reference. It is for
// documents from files; a live object has its defaults already.
func applyDefaults(apiVersion, kind string, object map[string]any) {
	spec, _ := object["spec"].(map[string]any)
	if spec == nil {
		return
	}
	switch groupOf(apiVersion) + "/" + kind {
	case "/Pod":
		podDefaults(spec)
	case "/Service":
		setDefault(spec, "type", "ClusterIP")
		eachObject(spec["ports"], func(port map[string]any) {
			setDefault(port, "protocol", "TCP")
			if number, ok := port["port"]; ok {
				setDefault(port, "targetPort", number)
			}
		})
	}
}

func podDefaults(spec map[string]any) {
	setDefault(spec, "restartPolicy", "Always")
	setDefault(spec, "dnsPolicy", "ClusterFirst")
	hostNetwork, _ := spec["hostNetwork"].(bool)
	for _, field := range containerFields {
		eachObject(spec[field], func(container map[string]any) {
			if image, ok := container["image"].(string); ok {
				setDefault(container, "imagePullPolicy", pullPolicy(image))
			}
			eachObject(container["ports"], func(port map[string]any) {
				setDefault(port, "protocol", "TCP")
				// A Pod on the host's network listens on the host's ports.
				if number, ok := port["containerPort"]; ok && hostNetwork {
					setDefault(port, "hostPort", number)
				}
			})
			requestDefaults(container)
		})
	}
	requestDefaults(spec)
}

// requestDefaults: a limit without a request is also the request.
func requestDefaults(holder map[string]any) {
	resources, _ := holder["resources"].(map[string]any)
	limits, _ := resources["limits"].(map[string]any)
	if len(limits) == 0 {
		return
	}
	requests, ok := resources["requests"].(map[string]any)
	if !ok {
		if resources["requests"] != nil {
			return
		}
		requests = map[string]any{}
		resources["requests"] = requests
	}
	for name, quantity := range limits {
		setDefault(requests, name, quantity)
	}
}

func pullPolicy(image string) string {
	name, _, digested := strings.Cut(image, "@")
	_, tag, tagged := strings.Cut(name[strings.LastIndexByte(name, '/')+1:], ":")
	if !digested && (!tagged || tag == "latest") {
		return "Always"
	}
	return "IfNotPresent"
}

func setDefault(object map[string]any, key string, value any) {
	if object[key] == nil {
		object[key] = value
	}
}

func eachObject(list any, visit func(map[string]any)) {
	entries, _ := list.([]any)
	for _, entry := range entries {
		if object, ok := entry.(map[string]any); ok {
			visit(object)
		}
	}
}
