# Load balancers only with addresses inside the network.
package internal_load_balancers

import data.lib.fixes
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	input.review.object.spec.type == "LoadBalancer"
	not internal_class
	not internal_annotation
	[msg, details] := exposure
}

violation contains {"msg": "type NodePort is not allowed", "details": details} if {
	not input.parameters.azureBehaviour
	input.review.object.spec.type == "NodePort"
	not input.parameters.allowNodePort
	details := fixes.offered({
		"path": "spec.type",
		"observed": "NodePort",
		"expected": "ClusterIP, or an internal LoadBalancer",
	}, [object.union_n(array.concat([{"spec.type": "ClusterIP"}], left_behind)) | distinct_ports])
}

violation contains {"msg": msg, "details": details} if {
	value := input.review.object.spec.type
	not value in ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort", null]
	msg := sprintf("%s is not a type of Service", [types.shown(value)])
	details := {
		"path": "spec.type",
		"observed": value,
		"expected": "ClusterIP, or an internal LoadBalancer",
	}
}

# Nodes answer for external addresses whatever the type is.
violation contains {"msg": msg, "details": details} if {
	not input.parameters.azureBehaviour
	value := input.review.object.spec.externalIPs
	not value in [[], null]
	msg := sprintf("externalIPs are not allowed: %s", [types.shown(value)])
	details := {
		"path": "spec.externalIPs",
		"observed": value,
		"expected": "none",
		"fix": {"spec.externalIPs": null},
	}
}

internal_class if {
	not input.parameters.azureBehaviour
	input.review.object.spec.loadBalancerClass in input.parameters.allowedLoadBalancerClasses
}

internal_class if {
	some cloud in clouds
	input.review.object.spec.loadBalancerClass in internal_classes[cloud]
}

# Of a cloud's annotations the first that is set decides, as it does for the cloud.
internal_annotation if {
	some cloud in clouds
	[_, value, pattern] := decisive[cloud]
	is_string(value)
	regex.match(pattern, value)
}

decisive[cloud] := found[0] if {
	some cloud in clouds
	found := [[name, value, pattern] |
		some [name, pattern] in annotations[cloud]
		value := input.review.object.metadata.annotations[name]
	]
	count(found) > 0
}

chosen_cloud := "azure" if input.parameters.azureBehaviour

else := input.parameters.cloud

clouds := [cloud | some cloud, _ in annotations] if chosen_cloud == "any"

else := [chosen_cloud]

exposure := [msg, details] if {
	cloud := min(object.keys(decisive))
	[name, value, _] := decisive[cloud]
	msg := sprintf("load balancer is not internal: annotation %s", [found_in(name, value)])
	details := fixes.offered({
		"path": sprintf("metadata.annotations['%s']", [name]),
		"observed": value,
		"expected": expected,
	}, [fix | fix := annotated(cloud)])
} else := [msg, details] if {
	msg := sprintf("load balancer is not internal: %s is missing", [wanted])
	details := fixes.offered({
		"path": "metadata.annotations",
		"observed": null,
		"expected": expected,
	}, [fix | fix := annotated(chosen_cloud)])
}

found_in(name, value) := sprintf("%s is %s", [name, types.shown(value)]) if is_string(value)

else := sprintf("%s: %s", [name, types.mismatch(value, "a string")])

# annotated sets a cloud's preferred annotation. The name of a subnet cannot be known, nor may the other settings that
# Huawei keeps in the same annotation be lost.
annotated(cloud) := {sprintf("metadata.annotations['%s']", [annotations[cloud][0][0]]): examples[cloud]} if {
	cloud != "tencent"
	not kept_together(cloud)
}

kept_together("huawei") if decisive.huawei

# left_behind are the settings of a NodePort that a ClusterIP must not have.
left_behind := array.concat(
	[{"spec.externalTrafficPolicy": null} | input.review.object.spec.externalTrafficPolicy],
	[{sprintf("spec.ports[%v].port", [i]): port, sprintf("spec.ports[%v].nodePort", [i]): null} |
		some i
		input.review.object.spec.ports[i].nodePort
		port := input.review.object.spec.ports[i].port
	],
)

# A port with a node port is named by its number, so no other may have the same.
distinct_ports if {
	numbers := [port | port := input.review.object.spec.ports[_].port]
	count(numbers) == count({number | some number in numbers})
}

wanted := "the internal annotation of a known cloud" if chosen_cloud == "any"

else := sprintf("annotation %s", [annotations[chosen_cloud][0][0]])

expected := "the internal annotation of a known cloud" if chosen_cloud == "any"

else := sprintf("%s: %q", [annotations[chosen_cloud][0][0], examples[chosen_cloud]])

# The annotations and the values, as patterns, with which each cloud's controller makes a load
# balancer internal; the preferred one first.
annotations := {
	"azure": [["service.beta.kubernetes.io/azure-load-balancer-internal", "^true$"]],
	"aws": [
		["service.beta.kubernetes.io/aws-load-balancer-scheme", "^internal$"],
		["service.beta.kubernetes.io/aws-load-balancer-internal", `^(true|0\.0\.0\.0/0)$`],
	],
	"gcp": [
		["networking.gke.io/load-balancer-type", "^(?i:internal)$"],
		["cloud.google.com/load-balancer-type", "^(?i:internal)$"],
	],
	"alibaba": [
		["service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type", "^intranet$"],
		["service.beta.kubernetes.io/alicloud-loadbalancer-address-type", "^intranet$"],
	],
	"baidu": [["service.beta.kubernetes.io/cce-load-balancer-internal-vpc", "^true$"]],
	"digitalocean": [["service.beta.kubernetes.io/do-loadbalancer-network", "^INTERNAL$"]],
	"hetzner": [["load-balancer.hetzner.cloud/disable-public-network", "^true$"]],
	"huawei": [["kubernetes.io/elb.autocreate", `"type"\s*:\s*"inner"`]],
	"ibm": [["service.kubernetes.io/ibm-load-balancer-cloud-provider-ip-type", "^private$"]],
	"oci": [
		["service.beta.kubernetes.io/oci-load-balancer-internal", "^true$"],
		["oci-network-load-balancer.oraclecloud.com/internal", "^true$"],
	],
	"openstack": [["service.beta.kubernetes.io/openstack-internal-load-balancer", "^true$"]],
	"scaleway": [["service.beta.kubernetes.io/scw-loadbalancer-private", "^true$"]],
	"tencent": [["service.kubernetes.io/qcloud-loadbalancer-internal-subnetid", `^\S+$`]],
}

examples := {
	"azure": "true",
	"aws": "internal",
	"gcp": "Internal",
	"alibaba": "intranet",
	"baidu": "true",
	"digitalocean": "INTERNAL",
	"hetzner": "true",
	"huawei": `{"type":"inner"}`,
	"ibm": "private",
	"oci": "true",
	"openstack": "true",
	"scaleway": "true",
	"tencent": "subnet-…",
}

# Load balancer classes that are internal by themselves.
internal_classes := {"gcp": ["networking.gke.io/l4-regional-internal"]}
