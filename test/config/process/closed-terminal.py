# Runs a command in a terminal of its own, closes the terminal when the command has printed a text,
# and prints what a page answers afterwards and with which status SIGTERM ends the command.
# Usage: closed-terminal.py TEXT URL COMMAND...
import os, pty, signal, sys, urllib.request

text, url, *command = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(command[0], command)
output = b''
while text.encode() not in output:
    output += os.read(terminal, 4096)
os.close(terminal)  # the kernel sends SIGHUP
for _ in range(3):  # each request writes a line of the log
    print(urllib.request.urlopen(url).status)
os.kill(pid, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
