# Who asks the API server. A scan has no request, and so nobody who may.
package lib.requests

import data.lib.names

allowed if names.listed(input.review.userInfo.username, input.parameters.allowedUsers)

allowed if {
	some group in input.review.userInfo.groups
	names.listed(group, input.parameters.allowedGroups)
}
