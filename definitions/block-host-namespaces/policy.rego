# No network, processes or memory shared with the node.
package block_host_namespaces

import data.lib.containers
import data.lib.fixes
import data.lib.pods
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	some field in ["hostNetwork", "hostPID", "hostIPC"]
	value := input.review.object.spec[field]
	not value in [false, null]
	containers.judged
	path := sprintf("spec.%s", [field])
	msg := types.flag(field, value)
	details := fixes.offered({"path": path, "observed": value, "expected": false}, [{path: false} | not needed(field)])
}

# HostProcess containers, which a Pod for Windows may have, need the network of the node.
needed("hostNetwork") if pods.windows
