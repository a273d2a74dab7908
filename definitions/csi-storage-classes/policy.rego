# Storage by CSI drivers.
package csi_storage_classes

violation contains {"msg": msg, "details": details} if {
	provisioner := input.review.object.provisioner
	startswith(provisioner, "kubernetes.io/")
	provisioner != "kubernetes.io/no-provisioner"
	msg := sprintf("provisioner %s is not a CSI driver", [provisioner])
	details := {"path": "provisioner", "observed": provisioner, "expected": object.get(drivers, provisioner, "a CSI driver")}
}

drivers := {"kubernetes.io/azure-disk": "disk.csi.azure.com", "kubernetes.io/azure-file": "file.csi.azure.com", "kubernetes.io/aws-ebs": "ebs.csi.aws.com", "kubernetes.io/gce-pd": "pd.csi.storage.gke.io"}
