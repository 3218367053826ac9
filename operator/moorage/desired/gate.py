"""The gate before an agent's first instruction: it opens once the network is seen to be closed.

A network engine learns of a new pod when it has its address, and puts its policies in place a moment later. Until then
the pod would reach everything.
"""

from moorage.desired.metadata import Manifest
from moorage.model.names import GATE_CONTAINER

# In bash alone, because it starts within milliseconds at a tenth of a CPU. A new connection to the API server, which
# every pod is told and no agent may reach, is either refused or never answered once the policies are in place. Silence
# means something only after the name service, which every agent may reach, has answered on the same network; where it
# does not, silence has to last. The word "tried" comes first, so that the time of an answer is never spent on waiting
# for a CPU.
SCRIPT = """\
answers() {
  local word=
  { read -r && read -rt "$3" word; } < <(echo tried; { : </dev/tcp/"$1"/"$2"; } 2>/dev/null && echo yes)
  [ "$word" = yes ]
}
patience=0.2 deaf=0
while read -r key names _; do [ "$key" = nameserver ] && break; done </etc/resolv.conf
until answers "$names" 53 1; do (( ++deaf < 3 )) || { patience=3; break; }; done
while answers "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT" "$patience"; do
  (( SECONDS < 30 )) || exit 1
  sleep 0.05
done
"""


def container(image: str, resources: Manifest) -> Manifest:
    """The init container; with the agent's own resources it adds nothing to what the pod needs."""
    return {
        "name": GATE_CONTAINER,
        "image": image,
        "command": ["bash", "-c", SCRIPT],
        "resources": resources,
    }
