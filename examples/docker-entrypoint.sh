#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Entrypoint of a container: puts the agent before its program, if the image has the agent.
#
#   COPY --from=pprofagent /usr/lib/pprofagent /usr/lib/pprofagent
#   COPY docker-entrypoint.sh /
#   ENTRYPOINT ["/docker-entrypoint.sh"]
#   CMD ["redis-server"]
#
# docker run -e PPROFAGENT_ENABLED=false IMAGE does without it. In a container loopback is that of
# the container; to publish the port, listen on all addresses and set a token:
#
#   docker run -p 127.0.0.1:6060:6060 -e PPROFAGENT_ADDRESS=:6060 -e PPROFAGENT_TOKEN=... IMAGE
set -eu

agent=/usr/lib/pprofagent/libpprofagent.so

if [ "$#" -eq 0 ]; then
	echo "docker-entrypoint.sh: no program is given" >&2
	exit 2
fi
if [ "${PPROFAGENT_ENABLED:-true}" != false ] && [ -r "$agent" ]; then
	LD_PRELOAD=$agent${LD_PRELOAD:+:$LD_PRELOAD}
	PPROFAGENT_ADDRESS=${PPROFAGENT_ADDRESS:-localhost:6060}
	export LD_PRELOAD PPROFAGENT_ADDRESS
fi
exec "$@"
