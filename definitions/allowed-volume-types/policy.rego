# Volumes only of allowed types.
package allowed_volume_types

import data.lib.containers

violation contains {"msg": msg, "details": details} if {
	not "*" in input.parameters.allowedVolumeTypes
	some type, places in volumes
	not type in input.parameters.allowedVolumeTypes
	some i in places
	containers.judged
	msg := sprintf("volumes of type %s are not allowed", [type])
	details := {
		"path": sprintf("spec.volumes[%v].%s", [i, type]),
		"observed": type,
		"expected": expected,
	}
}

# volumes are the places of volumes by type. The types are named, for to look at all fields of a volume would be to read
# its name, which differs between replicas.
volumes := {
	"awsElasticBlockStore": {i | input.review.object.spec.volumes[i].awsElasticBlockStore != null},
	"azureDisk": {i | input.review.object.spec.volumes[i].azureDisk != null},
	"azureFile": {i | input.review.object.spec.volumes[i].azureFile != null},
	"cephfs": {i | input.review.object.spec.volumes[i].cephfs != null},
	"cinder": {i | input.review.object.spec.volumes[i].cinder != null},
	"configMap": {i | input.review.object.spec.volumes[i].configMap != null},
	"csi": {i | input.review.object.spec.volumes[i].csi != null},
	"downwardAPI": {i | input.review.object.spec.volumes[i].downwardAPI != null},
	"emptyDir": {i | input.review.object.spec.volumes[i].emptyDir != null},
	"ephemeral": {i | input.review.object.spec.volumes[i].ephemeral != null},
	"fc": {i | input.review.object.spec.volumes[i].fc != null},
	"flexVolume": {i | input.review.object.spec.volumes[i].flexVolume != null},
	"flocker": {i | input.review.object.spec.volumes[i].flocker != null},
	"gcePersistentDisk": {i | input.review.object.spec.volumes[i].gcePersistentDisk != null},
	"gitRepo": {i | input.review.object.spec.volumes[i].gitRepo != null},
	"glusterfs": {i | input.review.object.spec.volumes[i].glusterfs != null},
	"hostPath": {i | input.review.object.spec.volumes[i].hostPath != null},
	"image": {i | input.review.object.spec.volumes[i].image != null},
	"iscsi": {i | input.review.object.spec.volumes[i].iscsi != null},
	"nfs": {i | input.review.object.spec.volumes[i].nfs != null},
	"persistentVolumeClaim": {i | input.review.object.spec.volumes[i].persistentVolumeClaim != null},
	"photonPersistentDisk": {i | input.review.object.spec.volumes[i].photonPersistentDisk != null},
	"portworxVolume": {i | input.review.object.spec.volumes[i].portworxVolume != null},
	"projected": {i | input.review.object.spec.volumes[i].projected != null},
	"quobyte": {i | input.review.object.spec.volumes[i].quobyte != null},
	"rbd": {i | input.review.object.spec.volumes[i].rbd != null},
	"scaleIO": {i | input.review.object.spec.volumes[i].scaleIO != null},
	"secret": {i | input.review.object.spec.volumes[i].secret != null},
	"storageos": {i | input.review.object.spec.volumes[i].storageos != null},
	"vsphereVolume": {i | input.review.object.spec.volumes[i].vsphereVolume != null},
}

expected := "no volume" if count(input.parameters.allowedVolumeTypes) == 0

else := concat(", ", input.parameters.allowedVolumeTypes)
