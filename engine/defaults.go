package main

import (
	"encoding/json"
	"strings"
)

// applyDefaults sets what the API server would set when it stores an object,
// for the fields that are read: defaulting of the core/v1 types in
// Kubernetes' API conventions ("Defaulting") and API reference. It is for
// documents from files; a live object has its defaults already.
func applyDefaults(apiVersion, kind string, object map[string]any, reads *Reads) {
	if path := templatePath(apiVersion, kind); path != nil {
		for _, key := range path {
			object, reads = objectIn(object, key), reads.at(key)
		}
		if spec := objectIn(object, "spec"); spec != nil {
			podSpecDefaults(spec, reads.at("spec"))
		}
		return
	}
	spec := objectIn(object, "spec")
	if spec == nil {
		return
	}
	reads = reads.at("spec")
	switch groupOf(apiVersion) + "/" + kind {
	case "/Pod":
		podSpecDefaults(spec, reads)
		podDefaults(spec, reads)
	case "/Service":
		reads.fill(spec, "type", "ClusterIP")
		eachObject(spec["ports"], func(port map[string]any) {
			reads := reads.at("ports").at("*")
			reads.fill(port, "protocol", "TCP")
			if number, ok := port["port"]; ok {
				reads.fillNumber(port, "targetPort", number)
			}
		})
	}
}

// podSpecDefaults are those of each Pod spec, a template's too
// (SetDefaults_PodSpec and what stands below it, in Kubernetes' zz_generated.defaults.go).
func podSpecDefaults(spec map[string]any, reads *Reads) {
	if reads == nil {
		return
	}
	reads.fill(spec, "restartPolicy", "Always")
	reads.fill(spec, "dnsPolicy", "ClusterFirst")
	reads.fill(spec, "securityContext", map[string]any{})
	reads.fill(spec, "terminationGracePeriodSeconds", json.Number("30"))
	reads.fill(spec, "schedulerName", "default-scheduler")
	// Each of the two is the other's older or newer name.
	if name := spec["serviceAccount"]; name != nil {
		reads.fill(spec, "serviceAccountName", name)
	}
	if name := spec["serviceAccountName"]; name != nil && name != "" {
		spec["serviceAccount"] = name
	}
	for _, field := range containerFields {
		below := reads.at(field).at("*")
		eachObject(spec[field], func(container map[string]any) { containerDefaults(container, below) })
	}
	if below := reads.at("volumes").at("*"); below != nil {
		eachObject(spec["volumes"], volumeDefaults)
	}
}

func containerDefaults(container map[string]any, reads *Reads) {
	if image, ok := container["image"].(string); ok && reads.at("imagePullPolicy") != nil {
		reads.fill(container, "imagePullPolicy", pullPolicy(image))
	}
	if container["resources"] == nil && reads.at("resources") != nil {
		container["resources"] = map[string]any{}
	}
	reads.fill(container, "terminationMessagePath", "/dev/termination-log")
	reads.fill(container, "terminationMessagePolicy", "File")
	port := reads.at("ports").at("*")
	eachObject(container["ports"], func(one map[string]any) { port.fill(one, "protocol", "TCP") })
	eachObject(container["env"], func(variable map[string]any) { fieldDefaults(objectIn(variable, "valueFrom")) })
	for _, name := range []string{"livenessProbe", "readinessProbe", "startupProbe"} {
		probe, below := objectIn(container, name), reads.at(name)
		if probe == nil {
			continue
		}
		below.fillNumber(probe, "timeoutSeconds", json.Number("1"))
		below.fillNumber(probe, "periodSeconds", json.Number("10"))
		below.fillNumber(probe, "successThreshold", json.Number("1"))
		below.fillNumber(probe, "failureThreshold", json.Number("3"))
		httpDefaults(probe)
		if grpc := objectIn(probe, "grpc"); grpc != nil {
			setDefault(grpc, "service", "")
		}
	}
	if lifecycle := objectIn(container, "lifecycle"); lifecycle != nil {
		httpDefaults(objectIn(lifecycle, "postStart"))
		httpDefaults(objectIn(lifecycle, "preStop"))
	}
}

func httpDefaults(handler map[string]any) {
	if get := objectIn(handler, "httpGet"); get != nil {
		setDefault(get, "path", "/")
		setDefault(get, "scheme", "HTTP")
	}
}

// fieldDefaults: holder has a fieldRef or a resourceFieldRef, perhaps.
func fieldDefaults(holder map[string]any) {
	if reference := objectIn(holder, "fieldRef"); reference != nil {
		setDefault(reference, "apiVersion", "v1")
	}
	if reference := objectIn(holder, "resourceFieldRef"); reference != nil {
		setDefault(reference, "divisor", "0")
	}
}

const volumeMode = json.Number("420") // 0644

// sourceDefaults are what the sources of volumes have set.
var sourceDefaults = map[string]map[string]any{
	"hostPath":    {"type": ""},
	"secret":      {"defaultMode": volumeMode},
	"configMap":   {"defaultMode": volumeMode},
	"downwardAPI": {"defaultMode": volumeMode},
	"projected":   {"defaultMode": volumeMode},
	"iscsi":       {"iscsiInterface": "default"},
	"rbd":         {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
	"azureDisk":   {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": false, "kind": "Shared"},
	"scaleIO":     {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}

func volumeDefaults(volume map[string]any) {
	if len(volume) == 0 || len(volume) == 1 && volume["name"] != nil {
		volume["emptyDir"] = map[string]any{}
	}
	for source := range volume {
		if held := objectIn(volume, source); held != nil {
			for key, value := range sourceDefaults[source] {
				setDefault(held, key, value)
			}
		}
	}
	if image := objectIn(volume, "image"); image != nil {
		reference, _ := image["reference"].(string)
		setDefault(image, "pullPolicy", pullPolicy(reference))
	}
	if claim := objectIn(objectIn(volume, "ephemeral"), "volumeClaimTemplate"); claim != nil {
		setDefault(claim, "metadata", map[string]any{})
		if spec := objectIn(claim, "spec"); spec != nil {
			setDefault(spec, "volumeMode", "Filesystem")
		}
	}
	eachObject(objectIn(volume, "downwardAPI")["items"], fieldDefaults)
	eachObject(objectIn(volume, "projected")["sources"], func(source map[string]any) {
		eachObject(objectIn(source, "downwardAPI")["items"], fieldDefaults)
		if token := objectIn(source, "serviceAccountToken"); token != nil {
			setDefault(token, "expirationSeconds", json.Number("3600"))
		}
	})
}

// podDefaults are those of a Pod alone: a template has them in the Pods that
// are made of it (SetDefaults_Pod).
func podDefaults(spec map[string]any, reads *Reads) {
	if reads == nil {
		return
	}
	reads.fill(spec, "enableServiceLinks", true)
	hostNetwork, _ := spec["hostNetwork"].(bool)
	for _, field := range containerFields {
		port := reads.at(field).at("*").at("ports").at("*")
		eachObject(spec[field], func(container map[string]any) {
			eachObject(container["ports"], func(one map[string]any) {
				// A Pod on the host's network listens on the host's ports.
				if number, ok := one["containerPort"]; ok && hostNetwork {
					port.fillNumber(one, "hostPort", number)
				}
			})
			requestDefaults(container)
		})
	}
	if resources := reads.at("resources"); resources != nil {
		podResourceDefaults(spec)
	}
}

// requestDefaults: a limit without a request is also the request.
func requestDefaults(container map[string]any) {
	resources := objectIn(container, "resources")
	fillMissing(resources, "requests", objectIn(resources, "limits"))
}

func pullPolicy(image string) string {
	name, _, digested := strings.Cut(image, "@")
	_, tag, tagged := strings.Cut(name[strings.LastIndexByte(name, '/')+1:], ":")
	if tag == "latest" || !tagged && !digested {
		return "Always"
	}
	return "IfNotPresent"
}

// setDefault sets a field that is absent, null or empty.
func setDefault(object map[string]any, key string, value any) {
	if object[key] == nil || object[key] == "" {
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

// objectIn is the object at a key; nil when there is none.
func objectIn(object map[string]any, key string) map[string]any {
	found, _ := object[key].(map[string]any)
	return found
}
