# No Windows HostProcess container.
package no_host_process

import data.lib.host_process

violation contains host_process.findings[_]
