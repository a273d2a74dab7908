# What a Pod says that decides what its containers must say.
package lib.pods

# The API server takes no settings of Linux in a Pod for Windows.
windows if input.review.object.spec.os.name == "windows"

# Root in a user namespace is not root on the node.
in_user_namespace if input.review.object.spec.hostUsers == false

# What a Pod that does not say its operating system says by the node that it asks for.
for_windows if {
	not input.parameters.azureBehaviour
	windows
}

for_windows if input.review.object.spec.nodeSelector["kubernetes.io/os"] == "windows"

# At Azure ephemeral containers for Windows are not judged.
left_out_at_azure("ephemeralContainers") if input.parameters.azureBehaviour
