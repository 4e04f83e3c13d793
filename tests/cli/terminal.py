"""Runs a command on a terminal of its own and answers its prompts.

terminal.py 'ANSWER|ANSWER' COMMAND...  prints what the terminal showed, exits as the command did.
An ANSWER of the form <REGEX> types what the expression's first group found in the output so far.
"""
import os
import pty
import re
import select
import sys

answers, command = sys.argv[1].split("|"), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)

shown, answered = "", 0
while select.select([terminal], [], [], 60)[0]:
    try:
        some = os.read(terminal, 4096)
    except OSError:  # the other end is closed
        break
    if not some:
        break
    shown += some.decode()
    if re.search(r": $", shown[answered:]) and answers:
        answer = answers.pop(0)
        if answer.startswith("<"):
            answer = re.search(answer[1:-1], shown).group(1)
        answered = len(shown)
        os.write(terminal, answer.encode() + b"\n")
os.close(terminal)  # hangs up on a command that still waits for an answer
sys.stdout.write(shown.replace("\r\n", "\n"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
