# Which Pods and containers are for Windows, for rules that have the parameter azureBehaviour.
package lib.for_windows

import data.lib.pods

# Azure knows node selectors alone.
pod if {
	not input.parameters.azureBehaviour
	pods.windows
}

# What a Pod that does not say its operating system says by the node that it asks for.
pod if input.review.object.spec.nodeSelector["kubernetes.io/os"] == "windows"

# At Azure ephemeral containers for Windows are not judged.
left_out_at_azure("ephemeralContainers") if input.parameters.azureBehaviour
