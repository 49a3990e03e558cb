/** An npm that installs nothing, and fails or hangs when a file says so. */
export const npm = `#!/bin/sh
echo "$@" >> npm.calls
echo 'noise of npm'
[ -e npm.fails ] && exit 1
[ -e npm.hangs ] && echo $$ > npm.hangs && exec sleep 600
sleep 0.3
mkdir -p node_modules
cp installed.json node_modules/.package-lock.json
`
