# Names of images and registries, read as container runtimes read them.
package lib.images

# canonical is host/path/ in full, without tag and digest, of an image that a container runtime can read. Ending in a
# slash, it has a registry as a prefix only where whole segments are equal.
canonical(image) := sprintf("%s/%s/", [host, path]) if {
	not long(image)
	not regex.match("^[a-f0-9]{64}$", image)
	[host, name] := split_host(image)
	some [_, path] in regex.find_all_string_submatch_n(name_form, official(host, name), 1)
	regex.match(host_form, host)
	count(path) <= 255
}

# long is an image that no container runtime can read: a name has at most 255 characters, a tag 128, a digest 135, and
# what is before the name is a host. To take it apart would take seconds, and it would fill any message.
long(image) if {
	is_string(image)
	count(image) > 1024
}

# The grammar of github.com/distribution/reference, by which the kubelet and container runtimes read images.
name_form := concat("", [
	`^([a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)`,
	`(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?`,
	`(?:@(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}))?$`,
])

host_form := `^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[a-f0-9:]+\])(?::[0-9]+)?$`

# official images of the Docker Hub may be written without library/.
official("docker.io", name) := concat("", ["library/", name]) if not contains(name, "/")

else := name

official(host, name) := name if host != "docker.io"

split_host(name) := [host_name(first), substring(name, count(first) + 1, -1)] if {
	first := split(name, "/")[0]
	first != name
	is_host(first)
}

split_host(name) := ["docker.io", name] if not is_host(split(name, "/")[0])

split_host(name) := ["docker.io", name] if not contains(name, "/")

# What is before the first slash is a host, unless it can only be the first part of a name.
is_host(segment) if regex.match(`[.:A-Z]|^localhost$`, segment)

# Hosts have no case, and the Docker Hub has two names.
host_name(host) := "docker.io" if lower(host) == "index.docker.io"

else := lower(host)

# prefixes are what canonical names of images in registries begin with.
prefixes(registries) := {prefix_of(trim_right(registry, "/")) | some registry in registries}

prefix_of(registry) := sprintf("%s/", [host_name(registry)]) if {
	not contains(registry, "/")
	is_host(registry)
} else := sprintf("%s/%s/", split_host(registry)) if {
	contains(registry, "/")
} else := sprintf("docker.io/%s/", [registry]) if registry != ""
