# Seccomp and AppArmor profiles, by their names in fields and in annotations.
package lib.profiles

allowed(_) if "*" in input.parameters.allowedProfiles

allowed(profile) if {
	some name in names[profile.type]
	name in input.parameters.allowedProfiles
}

allowed(profile) if {
	profile.type == "Localhost"
	concat("", ["localhost/", profile.localhostProfile]) in input.parameters.allowedProfiles
}

names := {
	"RuntimeDefault": ["RuntimeDefault", "runtime/default", "docker/default"],
	"Localhost": ["Localhost", "localhost/*"],
	"Unconfined": ["Unconfined", "unconfined"],
}

# annotated is the profile that an annotation names.
annotated(value) := {"type": type} if {
	some type in ["RuntimeDefault", "Unconfined"]
	value in names[type]
} else := {"type": "Localhost", "localhostProfile": trim_prefix(value, "localhost/")} if {
	startswith(value, "localhost/")
} else := {"type": value}

message(what, profile) := sprintf("%s is Localhost with the profile %s, which is not allowed", [what, profile.localhostProfile]) if {
	profile.type == "Localhost"
} else := sprintf("%s is %s, which is not allowed", [what, profile.type]) if {
	profile.type
} else := sprintf("%s has no type", [what])

type_of(profile) := object.get(profile, "type", null)

expected := "no profile" if count(input.parameters.allowedProfiles) == 0

else := concat(", ", input.parameters.allowedProfiles)

# default_allowed: RuntimeDefault complies, and every node has it.
default_allowed if allowed({"type": "RuntimeDefault"})
