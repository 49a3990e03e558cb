/**
 * A false npm for the launcher's tests. It appends its arguments to npm.calls and copies
 * installed.json as the list of installed packages, and the folder to-install if there is one. It
 * fails if the file npm.fails exists, and hangs if the file npm.hangs exists.
 */
export const npm = `#!/bin/sh
echo "$@" >> npm.calls
echo 'noise of npm'
[ -e npm.fails ] && exit 1
[ -e npm.hangs ] && echo $$ > npm.hangs && exec sleep 600
sleep 0.3
mkdir -p node_modules
[ -d to-install ] && cp -R to-install/. node_modules
cp installed.json node_modules/.package-lock.json
`
