"""Pod templates that use what the API server defaults, decodes and adds to, one thing or a few each."""

from __future__ import annotations

from typing import Any

import yaml

TEMPLATES: dict[str, dict[str, Any]] = yaml.safe_load("""
bare:
  spec:
    containers: [{name: a, image: a}]

containers:
  metadata:
    labels: {tier: web}
    annotations: {team.example.com/owner: shop}
  spec:
    initContainers:
    - {name: migrate, image: registry.example.com:5000/migrate, command: [migrate]}
    - name: mesh
      image: mesh:1.2
      restartPolicy: Always
      startupProbe: {tcpSocket: {port: 8080}}
      ports: [{containerPort: 15001}]
    containers:
    - name: web
      image: web:latest
      imagePullPolicy: IfNotPresent
      terminationMessagePolicy: FallbackToLogsOnError
      ports: [{containerPort: 80, name: http}, {containerPort: 53, protocol: UDP, hostPort: 5353}]
      livenessProbe: {httpGet: {port: http}}
      readinessProbe: {grpc: {port: 9000}, periodSeconds: 0, initialDelaySeconds: 3}
      startupProbe: {exec: {command: ["true"]}, failureThreshold: 30}
      lifecycle:
        postStart: {httpGet: {port: 80, scheme: HTTPS}}
        preStop: {exec: {command: [stop]}}
      env:
      - {name: PLAIN, value: x}
      - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
      - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
      - {name: KEY, valueFrom: {secretKeyRef: {name: s, key: k}}}
      - {name: CM, valueFrom: {configMapKeyRef: {name: c, key: k, optional: true}}}
      envFrom: [{configMapRef: {name: c}}, {secretRef: {name: s}, prefix: P_}]
    - name: digest
      image: a@sha256:0123456789012345678901234567890123456789012345678901234567890123
      lifecycle: {preStop: {sleep: {seconds: 5}}}
    - {name: tagged, image: "host:80/a:latest@sha256:0123456789012345678901234567890123456789012345678901234567890123"}
    - {name: host, image: "host:80/a", terminationMessagePath: /x}

resources:
  spec:
    containers:
    - {name: limits, image: "a:1", resources: {limits: {cpu: 250m, memory: 64Mi}}}
    - {name: one, image: "a:1", resources: {limits: {cpu: 250m, memory: 64Mi}, requests: {cpu: 100m}}}
    - {name: requests, image: "a:1", resources: {requests: {cpu: 100m, memory: 32Mi}}}
    - {name: empty, image: "a:1", resources: {}}
    - {name: huge, image: "a:1", resources: {limits: {hugepages-2Mi: 4Mi, memory: 64Mi, cpu: 1}}}
    initContainers:
    - {name: init, image: "a:1", resources: {limits: {memory: 64Mi, cpu: 0.5}}}
    - {name: spelled, image: "a:1", resources: {limits: {memory: 1024Mi, cpu: 1000m}}}

pod resources:
  spec:
    resources: {limits: {cpu: 2, memory: 1Gi}}
    containers:
    - {name: a, image: "a:1"}
    - {name: b, image: "a:1", resources: {limits: {cpu: 250m, memory: 64Mi}}}

pod requests:
  spec:
    resources: {limits: {cpu: "2", memory: 1Gi}}
    containers:
    - {name: a, image: "a:1", resources: {requests: {cpu: 100m, memory: 32Mi}}}
    - {name: b, image: "a:1", resources: {requests: {cpu: 250m, memory: 64Mi}}}

host:
  spec:
    hostNetwork: true
    hostPID: true
    dnsPolicy: ClusterFirstWithHostNet
    containers:
    - {name: a, image: "a:1", ports: [{containerPort: 8081}, {containerPort: 8082, hostPort: 8082}]}
    initContainers:
    - {name: i, image: "a:1", ports: [{containerPort: 8083}], restartPolicy: Always}
    - {name: j, image: "a:1", ports: [{containerPort: 8084}]}

security:
  spec:
    automountServiceAccountToken: false
    hostUsers: true
    terminationGracePeriodSeconds: 0
    enableServiceLinks: false
    shareProcessNamespace: true
    securityContext: {runAsNonRoot: true, runAsUser: 1000, fsGroup: 2000, seccompProfile: {type: RuntimeDefault}, sysctls: [{name: net.ipv4.ip_local_port_range, value: 1024 65535}]}
    containers:
    - name: a
      image: "a:1"
      securityContext: {privileged: false, allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}
    - {name: unconfined, image: "a:1", securityContext: {procMount: Default, seLinuxOptions: {level: "s0:c1"}}}

zeros:
  spec:
    hostNetwork: false
    hostPID: false
    hostIPC: false
    nodeName: ""
    hostname: ""
    initContainers: []
    volumes: []
    nodeSelector: {}
    imagePullSecrets: []
    containers:
    - {name: a, image: "a:1", stdin: false, tty: false, command: [], args: [], env: [], ports: [], workingDir: "", volumeMounts: [], securityContext: {}}

nulls:
  metadata: {labels: {none: null}, annotations: {none: null}}
  spec:
    hostNetwork: null
    securityContext: null
    serviceAccountName: null
    volumes: null
    containers:
    - {name: a, image: "a:1", resources: null, securityContext: null, ports: null, imagePullPolicy: null}

unknown:
  spec:
    notAField: 1
    containers:
    - {name: a, image: "a:1", imagePullPolice: Always}

volumes:
  spec:
    containers:
    - name: a
      image: "a:1"
      volumeMounts: [{name: empty, mountPath: /a}, {name: secret, mountPath: /b, readOnly: true, subPath: x}, {name: none, mountPath: /c, mountPropagation: None}]
    volumes:
    - {name: none}
    - {name: empty, emptyDir: {medium: Memory, sizeLimit: 1Gi}}
    - {name: host, hostPath: {path: /var/run}}
    - {name: typed, hostPath: {path: /var/run, type: Directory}}
    - {name: secret, secret: {secretName: s, items: [{key: k, path: p}]}}
    - {name: config, configMap: {name: c, defaultMode: 0400}}
    - {name: down, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}, {path: cpu, resourceFieldRef: {containerName: a, resource: limits.cpu}}]}}
    - name: projected
      projected:
        sources:
        - {serviceAccountToken: {path: token, audience: vault}}
        - {configMap: {name: c}}
        - {secret: {name: s}}
        - {downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}
    - {name: claim, persistentVolumeClaim: {claimName: c}}
    - {name: csi, csi: {driver: inline.example.com, volumeAttributes: {a: b}}}
    - {name: nfs, nfs: {server: s, path: /p}}
    - {name: ephemeral, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}}
    - {name: image, image: {reference: "a:1"}}
    - {name: untagged, image: {reference: a}}

older volumes:
  spec:
    containers: [{name: a, image: "a:1"}]
    volumes:
    - {name: iscsi, iscsi: {targetPortal: "1.2.3.4:3260", iqn: "iqn.2001-04.com.example:storage.a", lun: 0}}
    - {name: rbd, rbd: {monitors: ["1.2.3.4:6789"], image: foo}}
    - {name: azure, azureDisk: {diskName: d, diskURI: "https://blob/d.vhd"}}
    - {name: scale, scaleIO: {gateway: "https://g", system: s, secretRef: {name: s}, volumeName: v}}
    - {name: gce, gcePersistentDisk: {pdName: d}}
    - {name: aws, awsElasticBlockStore: {volumeID: v}}
    - {name: cinder, cinder: {volumeID: v}}
    - {name: file, azureFile: {secretName: s, shareName: s}}
    - {name: gluster, glusterfs: {endpoints: e, path: p}}
    - {name: ceph, cephfs: {monitors: ["1.2.3.4:6789"]}}
    - {name: fc, fc: {targetWWNs: ["50060e801049cfd1"], lun: 0}}
    - {name: flex, flexVolume: {driver: "example.com/d"}}

account:
  spec:
    serviceAccount: puller
    containers: [{name: a, image: "a:1"}]

untrusting account:
  spec:
    serviceAccountName: untrusting
    containers:
    - {name: a, image: "a:1"}

trusting anyway:
  spec:
    serviceAccountName: untrusting
    automountServiceAccountToken: true
    imagePullSecrets: [{name: own}]
    containers:
    - {name: a, image: "a:1", volumeMounts: [{name: t, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}]}
    - {name: b, image: "a:1"}
    volumes: [{name: t, emptyDir: {}}]

scheduling:
  spec:
    priorityClassName: system-node-critical
    nodeSelector: {disk: ssd}
    tolerations:
    - {key: dedicated, value: x, effect: NoSchedule}
    - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 10}
    topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {a: b}}}]
    affinity:
      podAntiAffinity:
        preferredDuringSchedulingIgnoredDuringExecution:
        - {weight: 1, podAffinityTerm: {topologyKey: zone, labelSelector: {matchLabels: {a: b}}}}
    dnsConfig: {options: [{name: ndots, value: "2"}]}
    hostAliases: [{ip: 1.2.3.4, hostnames: [a]}]
    readinessGates: [{conditionType: example.com/ready}]
    os: {name: linux}
    containers: [{name: a, image: "a:1"}]

tolerant:
  spec:
    tolerations: [{operator: Exists}]
    preemptionPolicy: PreemptLowerPriority
    priority: 0
    containers: [{name: a, image: "a:1"}]
""")
