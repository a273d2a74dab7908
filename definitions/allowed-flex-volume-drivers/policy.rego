# FlexVolumes with allowed drivers.
package allowed_flex_volume_drivers

import data.lib.containers

violation contains {"msg": msg, "details": details} if {
	some i
	driver := input.review.object.spec.volumes[i].flexVolume.driver
	not driver in input.parameters.allowedFlexVolumeDrivers
	containers.judged
	msg := sprintf("FlexVolume driver %v is not allowed", [driver])
	details := {
		"path": sprintf("spec.volumes[%v].flexVolume.driver", [i]),
		"observed": driver,
		"expected": expected,
	}
}

expected := "no FlexVolume" if count(input.parameters.allowedFlexVolumeDrivers) == 0

else := concat(", ", input.parameters.allowedFlexVolumeDrivers)
