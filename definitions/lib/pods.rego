# What a Pod says that decides what its containers must say.
package lib.pods

# The API server takes no settings of Linux in a Pod for Windows.
windows if input.review.object.spec.os.name == "windows"

# Root in a user namespace is not root on the node.
in_user_namespace if input.review.object.spec.hostUsers == false
