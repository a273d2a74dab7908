# Paths of the node only where they are allowed.
package allowed_host_paths

import data.lib.containers
import data.lib.pods

violation contains {"msg": msg, "details": details} if {
	some i
	source := input.review.object.spec.volumes[i].hostPath
	source != null
	path := object.get(source, "path", null)
	not allowed(path, i)
	containers.judged
	msg := message(path)
	details := {
		"path": sprintf("spec.volumes[%v].hostPath.path", [i]),
		"observed": path,
		"expected": expected,
	}
}

allowed(path, i) if {
	some entry in entries
	below(path, entry.pathPrefix)
	not writable(entry, i)
}

entries := input.parameters.windowsAllowedHostPaths.paths if windows

else := input.parameters.allowedHostPaths.paths

windows if pods.windows

windows if input.review.object.spec.nodeSelector["kubernetes.io/os"] == "windows"

# below compares segment by segment; a path that leads up leads anywhere.
below(path, prefix) if {
	path != null
	not ".." in split(plain(path), "/")
	startswith(concat("", [trim_right(plain(path), "/"), "/"]), concat("", [trim_right(plain(prefix), "/"), "/"]))
}

plain(path) := lower(replace(path, `\`, "/")) if windows

else := path

# writable: a path for reading only is mounted otherwise.
writable(entry, i) if {
	entry.readOnly
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some j, k
	input.review.object.spec[field][j].volumeMounts[k].name == input.review.object.spec.volumes[i].name
	object.get(input.review.object.spec[field][j].volumeMounts[k], "readOnly", false) != true
	container := input.review.object.spec[field][j]
	not containers.excluded(container)
}

message(null) := "hostPath has no path"

message(path) := sprintf("hostPath %s is not allowed (%s)", [path, expected]) if path != null

expected := "no hostPath volume" if count(entries) == 0

else := concat(", ", [text | some entry in entries; text := entry_text(entry)])

entry_text(entry) := sprintf("%s for reading only", [entry.pathPrefix]) if entry.readOnly

else := entry.pathPrefix
