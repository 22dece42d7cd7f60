/** The systemd units of deploy/: what the two have in common is said once. */

interface Unit {
  description: string;
  command: 'serve' | 'outpost';
  /** name of the user, the folders and the environment file */
  name: string;
  more: readonly string[];
}

const HARDENING = `NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0077`;

/** @returns text of a unit file. Not MemoryDenyWriteExecute: the engine compiles JavaScript while it runs. */
const unit = ({
  description,
  command,
  name,
  more,
}: Unit): string => `# ${description}. How to install it: docs/guides/systemd.md
[Unit]
Description=${description}
Documentation=file:///opt/gatehouse/docs/guides/systemd.md
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
ExecStart=/opt/gatehouse/node_modules/.bin/node /opt/gatehouse/dist/main.js ${command}
ExecReload=/bin/kill -USR1 $MAINPID
# A user that exists while this runs; its folder is /var/lib/${name}.
DynamicUser=yes
StateDirectory=${name}
StateDirectoryMode=0700
Environment=NODE_ENV=production GATEHOUSE_DATA=%S/${name}
# Settings, one NAME=value in a line (docs/reference/settings.md).
EnvironmentFile=-/etc/gatehouse/${name}.env
${more.map((line) => `${line}\n`).join('')}KillMode=mixed
# Longer than a stop takes: 10 s for requests under way, 5 s for the identity server.
TimeoutStopSec=30
Restart=on-failure
RestartSec=2
LimitNOFILE=65536

# What it may not do.
${HARDENING}

[Install]
WantedBy=multi-user.target
`;

export const UNITS: Readonly<Record<string, string>> = {
  'deploy/systemd/gatehouse.service': unit({
    description: 'Gatehouse, identity server and embedded outpost',
    command: 'serve',
    name: 'gatehouse',
    more: [],
  }),
  'deploy/systemd/gatehouse-outpost.service': unit({
    description: 'Gatehouse outpost',
    command: 'outpost',
    name: 'gatehouse-outpost',
    more: [
      '# The token of the outpost, readable by root only; AUTHENTIK_HOST stands in the file above.',
      'LoadCredential=token:/etc/gatehouse/outpost-token',
      'Environment=AUTHENTIK_TOKEN=file://%d/token',
    ],
  }),
};
