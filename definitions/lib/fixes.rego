# The change that would comply, told in a finding's details where a rule knows one.
package lib.fixes

# offered is details with the first of the fixes, which map paths to values; null removes a field. A rule collects them
# in a comprehension, so that what it cannot say is no fix and never a violation less.
offered(details, fixes) := object.union(details, {"fix": fixes[0]}) if count(fixes) > 0

else := details
