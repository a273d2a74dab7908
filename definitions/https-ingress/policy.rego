# Every host of an Ingress behind TLS and, if wanted, plain HTTP redirected.
package https_ingress

import data.lib.fixes
import data.lib.types

violation contains {"msg": msg, "details": details} if {
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
violation contains {"msg": "a rule without a host has no TLS entry", "details": details} if {
	some i, rule in input.review.object.spec.rules
	not has_host(rule)
	not any_tls
	details := {
		"path": sprintf("spec.rules[%v].host", [i]),
		"observed": null,
		"expected": "a spec.tls entry",
	}
}

violation contains {"msg": "the default backend has no TLS entry", "details": details} if {
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
	input.parameters.requireRedirect
	controllers[controller]
	not redirected
	msg := sprintf("plain HTTP is not redirected to HTTPS by ingress class %s", [class])
	details := fixes.offered({
		"path": "metadata.annotations",
		"observed": observed,
		"expected": controllers[controller].remedy,
	}, redirections)
}

has_host(rule) if not rule.host in ["", null]

# backend holds the fallback under its name of today and of v1beta1.
backend["defaultBackend"] := input.review.object.spec.defaultBackend

backend["backend"] := input.review.object.spec.backend

message(host) := sprintf("host %s is not covered by spec.tls", [host]) if is_string(host)

else := sprintf("host: %s", [types.mismatch(host, "a host name")])

covered(host) if {
	is_string(host)
	lower(host) in tls_hosts
}

# *.example.com covers shop.example.com, one label and no more.
covered(host) if {
	is_string(host)
	at := indexof(host, ".")
	at > 0
	lower(concat("", ["*", substring(host, at, -1)])) in tls_hosts
}

covered(host) if {
	is_string(host)
	covers_all
}

tls_hosts contains lower(host) if {
	some host in input.review.object.spec.tls[_].hosts
	is_string(host)
}

# A certificate without a list of hosts is the controller's for all of them.
covers_all if {
	some entry in input.review.object.spec.tls
	entry.secretName != ""
	is_string(entry.secretName)
	not has_hosts(entry)
}

covers_all if {
	some name in controllers[controller].certificates
	value := input.review.object.metadata.annotations[name]
	is_string(value)
	not value in ["", "false"]
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

# observed are the annotations about redirection that are set, but not so that they redirect.
observed[name] := value if {
	some name in controllers[controller].switches
	value := input.review.object.metadata.annotations[name]
	value != "true"
}

# redirections is the fix: to drop what keeps a controller from what it does by default, else to ask for it.
redirections := [{sprintf("metadata.annotations['%s']", [name]): null | some name, _ in observed}] if {
	controllers[controller].default
	any_tls
} else := [{sprintf("metadata.annotations['%s']", [name]): value} | [name, value] := controllers[controller].asked]

# The old annotation, where it is still written, is what controllers look at first.
class := input.review.object.metadata.annotations["kubernetes.io/ingress.class"] if {
	is_string(input.review.object.metadata.annotations["kubernetes.io/ingress.class"])
} else := input.review.object.spec.ingressClassName if {
	is_string(input.review.object.spec.ingressClassName)
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
