# Every host of an Ingress behind TLS and, if wanted, plain HTTP redirected.
package https_ingress

import data.lib.fixes
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	not input.parameters.azureBehaviour
	some i
	host := input.review.object.spec.rules[i].host
	not host in ["", null]
	not covered(host)
	msg := message(host)
	details := {
		"path": sprintf("spec.rules[%v].host", [i]),
		"observed": host,
		"expected": "a spec.tls entry with this host",
	}
}

# A rule without a host takes requests for any.
violation contains {"msg": concat("", ["a rule without a host has no TLS entry", no_strings]), "details": details} if {
	not input.parameters.azureBehaviour
	some i, rule in input.review.object.spec.rules
	not has_host(rule)
	not any_tls
	details := {
		"path": sprintf("spec.rules[%v].host", [i]),
		"observed": null,
		"expected": "a spec.tls entry",
	}
}

violation contains {"msg": concat("", ["the default backend has no TLS entry", no_strings]), "details": details} if {
	not input.parameters.azureBehaviour
	some field
	backend[field] != null
	not any_tls
	details := {
		"path": sprintf("spec.%s", [field]),
		"observed": null,
		"expected": "a spec.tls entry",
	}
}

violation contains {"msg": msg, "details": details} if {
	not input.parameters.azureBehaviour
	input.parameters.requireRedirect
	not known
	msg := sprintf("redirection to HTTPS cannot be established, because %s", [class_fault])
	details := {
		"path": "spec.ingressClassName",
		"observed": class,
		"expected": sprintf("a class of a known controller (%s)", [concat(", ", sort([name | some name, _ in controllers]))]),
	}
}

violation contains {"msg": msg, "details": details} if {
	not input.parameters.azureBehaviour
	input.parameters.requireRedirect
	controllers[controller]
	not redirected
	msg := concat("", [sprintf("plain HTTP is not redirected to HTTPS by ingress class %s", [class]), no_strings])
	details := fixes.offered({
		"path": "metadata.annotations",
		"observed": observed,
		"expected": controllers[controller].remedy,
	}, redirections)
}

# At Azure an Ingress is judged whose class is called just like one of two controllers, by whether it has any TLS entry.
violation contains {"msg": msg, "details": details} if {
	input.parameters.azureBehaviour
	nginx_at_azure
	not https_only_at_azure
	msg := concat("", ["TLS, or the redirection of plain HTTP, is not asked for of nginx", no_strings])
	details := {
		"path": "metadata.annotations['nginx.ingress.kubernetes.io/force-ssl-redirect']",
		"observed": object.get(input.review.object.metadata, ["annotations", "nginx.ingress.kubernetes.io/force-ssl-redirect"], null),
		"expected": "\"true\", beside spec.tls, nginx.ingress.kubernetes.io/auth-tls-secret or ssl-passthrough",
	}
}

violation contains {"msg": msg, "details": details} if {
	input.parameters.azureBehaviour
	input.review.object.metadata.annotations["kubernetes.io/ingress.class"] == "azure/application-gateway"
	not tls_at_azure
	not input.review.object.metadata.annotations["appgw.ingress.kubernetes.io/appgw-ssl-certificate"]
	msg := "no TLS is asked for of the application gateway"
	details := {
		"path": "spec.tls",
		"observed": null,
		"expected": "an entry, or the annotation appgw.ingress.kubernetes.io/appgw-ssl-certificate",
	}
}

nginx_at_azure if input.review.object.spec.ingressClassName == "nginx"

nginx_at_azure if {
	not input.review.object.spec.ingressClassName
	input.review.object.metadata.annotations["kubernetes.io/ingress.class"] == "nginx"
}

https_only_at_azure if {
	input.review.object.metadata.annotations["nginx.ingress.kubernetes.io/force-ssl-redirect"] == "true"
	encrypted_at_azure
}

encrypted_at_azure if tls_at_azure

encrypted_at_azure if input.review.object.metadata.annotations["nginx.ingress.kubernetes.io/auth-tls-secret"]

encrypted_at_azure if input.review.object.metadata.annotations["nginx.ingress.kubernetes.io/ssl-passthrough"] == "true"

tls_at_azure if count(input.review.object.spec.tls) > 0

has_host(rule) if not rule.host in ["", null]

# backend holds the fallback under its name of today and of v1beta1.
backend["defaultBackend"] := input.review.object.spec.defaultBackend

backend["backend"] := input.review.object.spec.backend

message(host) := sprintf("host %s: no Ingress that is its nginx.org master, with TLS for it, is among those compared with", [host]) if {
	is_string(host)
	merged("minion")
} else := concat("", [sprintf("host %s is not covered by spec.tls", [host]), no_strings]) if is_string(host)

else := sprintf("host: %s", [types.mismatch(host, "a host name")])

covered(host) if {
	is_string(host)
	some name in names_for(host)
	name in tls_hosts
}

covered(host) if {
	is_string(host)
	covers_all
}

covered(host) if {
	is_string(host)
	lower(host) in master_hosts
}

# names_for are the names in certificates that a host goes by: *.example.com is shop.example.com, one label and no more.
names_for(host) := {lower(host)} | {lower(concat("", ["*", substring(host, at, -1)])) |
	at := indexof(host, ".")
	at > 0
}

# An Ingress that is a minion of nginx.org must not have TLS of its own: it gets that of the Ingress, in whatever
# namespace, that is the master of its host. To other controllers both are Ingresses of one host, whose TLS they share.
master_hosts contains lower(host) if {
	merged("minion")
	namespaces := data.inventory.namespace
	some version in ["networking.k8s.io/v1", "networking.k8s.io/v1beta1", "extensions/v1beta1"]
	some master in namespaces[_][version].Ingress
	master.metadata.annotations["nginx.org/mergeable-ingress-type"] == "master"
	class_of(master) == class
	host := master.spec.rules[_].host
	is_string(host)
	served_with_tls(master, host)
}

merged(role) if {
	controller == "nginx"
	input.review.object.metadata.annotations["nginx.org/mergeable-ingress-type"] == role
}

served_with_tls(ingress, host) if {
	name := ingress.spec.tls[_].hosts[_]
	is_string(name)
	lower(name) in names_for(host)
}

served_with_tls(ingress, _) if {
	some entry in ingress.spec.tls
	certificate_for_all(entry)
}

tls_hosts contains lower(host) if {
	some host in input.review.object.spec.tls[_].hosts
	is_string(host)
}

# A certificate without a list of hosts is the controller's for all of them.
covers_all if {
	some entry in input.review.object.spec.tls
	certificate_for_all(entry)
}

covers_all if {
	some name in controllers[controller].certificates
	value := input.review.object.metadata.annotations[name]
	is_string(value)
	not value in ["", "false"]
}

certificate_for_all(entry) if {
	entry.secretName != ""
	is_string(entry.secretName)
	not has_hosts(entry)
}

has_hosts(entry) if not entry.hosts in [[], null]

any_tls if count(tls_hosts) > 0

any_tls if covers_all

redirected if {
	some name, pattern in controllers[controller].redirects
	value := input.review.object.metadata.annotations[name]
	is_string(value)
	regex.match(pattern, value)
}

redirected if {
	controllers[controller].default
	any_tls
	count(observed) == 0
}

# A master's redirection is its minions' as well.
redirected if {
	count(master_hosts) > 0
	count(observed) == 0
}

# observed are the annotations about redirection that are set, but not so that they redirect.
observed[name] := value if {
	some name in controllers[controller].switches
	value := input.review.object.metadata.annotations[name]
	value != "true"
}

settings := sort([name |
	some part in ["switches", "certificates", "redirects"]
	some at, one in controllers[controller][part]
	name := {true: one, false: at}[is_number(at)]
])

# no_strings tells of annotations about TLS and redirection that no controller reads as they are.
no_strings := concat("", [sprintf("; annotation %s: %s", [name, types.mismatch(value, "a string")]) |
	some name in settings
	value := input.review.object.metadata.annotations[name]
	not is_string(value)
	value != null
])

# redirections is the fix: to drop what keeps a controller from what it does by default, else to ask for it.
redirections := [{sprintf("metadata.annotations['%s']", [name]): null | some name, _ in observed}] if {
	controllers[controller].default
	any_tls
} else := [{sprintf("metadata.annotations['%s']", [name]): value} | [name, value] := controllers[controller].asked]

class := class_of(input.review.object)

# The old annotation, where it is still written, is what controllers look at first.
class_of(ingress) := ingress.metadata.annotations["kubernetes.io/ingress.class"] if {
	is_string(ingress.metadata.annotations["kubernetes.io/ingress.class"])
} else := ingress.spec.ingressClassName if {
	is_string(ingress.spec.ingressClassName)
} else := null

known if controllers[controller]

class_fault := "no ingress class is given" if class == null

else := sprintf("ingress class %s is not known", [class])

# Classes are often named after the controller: nginx-internal, public-traefik.
controller := class_names[class] if {
	class_names[class]
} else := min({name |
	is_string(class)
	some word in regex.split("[^a-z0-9]+", lower(class))
	name := class_names[word]
})

class_names := {
	"nginx": "nginx",
	"webapprouting.kubernetes.azure.com": "nginx",
	"azure": "application gateway",
	"azure/application-gateway": "application gateway",
	"azure-application-gateway": "application gateway",
	"agic": "application gateway",
	"gce": "gce",
	"traefik": "traefik",
	"haproxy": "haproxy",
	"contour": "contour",
	"alb": "alb",
	"kong": "kong",
}

# What makes each controller redirect plain HTTP or not serve it: default means it does so when TLS is
# configured, unless one of the switches says otherwise; redirects are annotations with the patterns
# of the values that do it in any case, and asked is the one to set; certificates are annotations that
# configure TLS beside spec.tls; remedy is what a finding asks for.
controllers := {
	"nginx": {
		"default": true,
		"switches": [
			"nginx.ingress.kubernetes.io/ssl-redirect",
			"ingress.kubernetes.io/ssl-redirect",
			"nginx.org/ssl-redirect",
		],
		"redirects": {"nginx.ingress.kubernetes.io/force-ssl-redirect": "^true$"},
		"asked": ["nginx.ingress.kubernetes.io/force-ssl-redirect", "true"],
		"certificates": [],
		"remedy": `TLS and no nginx.ingress.kubernetes.io/ssl-redirect: "false"`,
	},
	"application gateway": {
		"default": false,
		"switches": ["appgw.ingress.kubernetes.io/ssl-redirect"],
		"redirects": {"appgw.ingress.kubernetes.io/ssl-redirect": "^true$"},
		"asked": ["appgw.ingress.kubernetes.io/ssl-redirect", "true"],
		"certificates": ["appgw.ingress.kubernetes.io/appgw-ssl-certificate"],
		"remedy": `appgw.ingress.kubernetes.io/ssl-redirect: "true"`,
	},
	"gce": {
		"default": false,
		"switches": [],
		"redirects": {
			"kubernetes.io/ingress.allow-http": "^false$",
			"networking.gke.io/v1beta1.FrontendConfig": ".",
		},
		"asked": ["kubernetes.io/ingress.allow-http", "false"],
		"certificates": [
			"ingress.gcp.kubernetes.io/pre-shared-cert",
			"networking.gke.io/managed-certificates",
		],
		"remedy": `kubernetes.io/ingress.allow-http: "false", or a FrontendConfig that redirects`,
	},
	"traefik": {
		"default": false,
		"switches": ["traefik.ingress.kubernetes.io/router.entrypoints"],
		"redirects": {
			"traefik.ingress.kubernetes.io/router.entrypoints": "^websecure$",
			"traefik.ingress.kubernetes.io/router.middlewares": "(?i:redirect|https)",
		},
		"asked": ["traefik.ingress.kubernetes.io/router.entrypoints", "websecure"],
		"certificates": ["traefik.ingress.kubernetes.io/router.tls"],
		"remedy": "traefik.ingress.kubernetes.io/router.entrypoints: websecure, or a redirecting middleware",
	},
	"haproxy": {
		"default": true,
		"switches": [
			"haproxy.org/ssl-redirect",
			"haproxy-ingress.github.io/ssl-redirect",
			"ingress.kubernetes.io/ssl-redirect",
		],
		"redirects": {},
		"certificates": [],
		"remedy": `TLS and no haproxy.org/ssl-redirect: "false"`,
	},
	"contour": {
		"default": false,
		"switches": [],
		"redirects": {
			"ingress.kubernetes.io/force-ssl-redirect": "^true$",
			"kubernetes.io/ingress.allow-http": "^false$",
		},
		"asked": ["ingress.kubernetes.io/force-ssl-redirect", "true"],
		"certificates": [],
		"remedy": `ingress.kubernetes.io/force-ssl-redirect: "true"`,
	},
	"alb": {
		"default": false,
		"switches": ["alb.ingress.kubernetes.io/listen-ports"],
		"redirects": {
			"alb.ingress.kubernetes.io/ssl-redirect": "^[0-9]+$",
			"alb.ingress.kubernetes.io/listen-ports": `^\[\s*(?:\{\s*"HTTPS"\s*:\s*[0-9]+\s*\}\s*,?\s*)+\]$`,
		},
		"asked": ["alb.ingress.kubernetes.io/ssl-redirect", "443"],
		"certificates": ["alb.ingress.kubernetes.io/certificate-arn"],
		"remedy": `alb.ingress.kubernetes.io/ssl-redirect: "443"`,
	},
	"kong": {
		"default": false,
		"switches": ["konghq.com/protocols"],
		"redirects": {"konghq.com/protocols": "^https$"},
		"asked": ["konghq.com/protocols", "https"],
		"certificates": [],
		"remedy": "konghq.com/protocols: https",
	},
}
