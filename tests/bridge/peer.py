"""What Python's own libraries for mail do on the other side of a bridge: write, send, sign, read, compare, and take in."""

import email
import email.policy
import json
import smtplib
import socket
import ssl
import sys
from email.message import EmailMessage
from email.mime.application import MIMEApplication
from email.mime.image import MIMEImage
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import formataddr


def compose(kind, sender, to, out):
    if kind == "short":
        mail = EmailMessage()
        mail.set_content("Der Regen fällt.\n.\n..two dots\nFrom here on it is dry.\n")
    else:
        # Parts within parts, another charset, a mail in a mail.
        inner = EmailMessage()
        inner["Subject"] = "the former"
        inner.set_content("what was said before\n")
        alternative = MIMEMultipart("alternative")
        alternative.attach(MIMEText("naïve text", "plain", "iso-8859-1"))
        related = MIMEMultipart("related")
        related.attach(MIMEText("<p>na&iuml;ve</p>", "html", "utf-8"))
        related.attach(MIMEImage(bytes(range(256)) * 8, "png", name="dot.png"))
        alternative.attach(related)
        mail = MIMEMultipart("mixed")
        mail.attach(alternative)
        mail.attach(MIMEMessage(inner))
        size = 700_000 if kind == "long" else 3_000
        part = MIMEApplication(bytes((i * 7919) % 251 for i in range(size)))
        part.add_header("Content-Disposition", "attachment", filename=("utf-8", "", "Gesch\u00e4ft.bin"))
        mail.attach(part)
    mail["From"] = formataddr(("Zo\u00eb", sender))
    mail["To"] = to
    mail["Subject"] = f"Ein Gru\u00df: {kind}"
    mail["Date"] = "Mon, 23 Nov 2026 06:39:57 +0000"
    mail["Message-ID"] = f"<{kind}.20261123@{sender.split('@')[1]}>"
    mail["X-Secret-Marker"] = "nobody-may-find-this-on-a-disk"
    with open(out, "wb") as file:
        file.write(mail.as_bytes(policy=mail.policy.clone(linesep="\r\n")))


def sign(key, selector, domain, source, out):
    import dkim

    raw = open(source, "rb").read()
    signature = dkim.sign(
        raw, selector.encode(), domain.encode(), open(key, "rb").read(),
        canonicalize=(b"relaxed", b"relaxed"), include_headers=[b"from", b"to", b"subject", b"date", b"message-id"],
    )
    open(out, "wb").write(signature + raw)


def verify(record, source):
    import dkim

    raw = open(source, "rb").read()
    print(dkim.verify(raw, dnsfunc=lambda name, timeout=5: record.encode()))


def send(port, sender, to, source, *options):
    """Prints what was answered to each step."""
    raw = open(source, "rb").read()
    said = {}
    client = smtplib.SMTP("127.0.0.1", int(port), local_hostname="client.example", timeout=200)
    client.ehlo()
    if "tls" in options:
        said["tls"] = client.starttls(context=ssl._create_unverified_context())[0]
        client.ehlo()
    for option in options:
        if option.startswith("login="):
            try:
                said["login"] = client.login(*option[6:].split(":", 1))[0]
            except smtplib.SMTPAuthenticationError as error:
                said["login"] = error.smtp_code
    said["mail"] = client.mail(sender, [f"size={len(raw)}"] if "size" in options else [])[0]
    said["rcpt"] = [client.rcpt(one)[0] for one in to.split(",")]
    if any(code == 250 for code in said["rcpt"]):
        code, text = client.data(raw)
        said["data"], said["text"] = code, text.decode()
    try:
        client.quit()
    except smtplib.SMTPServerDisconnected:
        pass
    print(json.dumps(said))


def tree(part):
    """All that a reader sees of a part and of what is in it."""
    seen = [[name.lower(), str(value)] for name, value in part.items()]
    if part.is_multipart():
        return [seen, [tree(inner) for inner in part.get_payload()]]
    return [seen, part.get_payload(decode=True).hex()]


ADDED = ["return-path", "authentication-results", "received"]


def compare(sent, received):
    """Whether two files are the same mail but for the three fields that a server puts before it; says the fields."""
    sent = email.message_from_bytes(open(sent, "rb").read(), policy=email.policy.default)
    received = email.message_from_bytes(open(received, "rb").read(), policy=email.policy.default)
    before, after = tree(sent), tree(received)
    added, rest = after[0][: len(ADDED)], after[0][len(ADDED):]
    assert [name for name, _ in added] == ADDED, added
    assert [rest, after[1]] == before, "another mail came out"
    assert not received.defects, received.defects
    print(json.dumps(dict(added)))


def sink(folder):
    """Takes in whatever comes, and writes it to a folder."""
    from aiosmtpd.controller import Controller

    class Handler:
        count = 0

        async def handle_RCPT(self, server, session, envelope, address, options):
            if address.startswith("nobody@"):
                return "550 5.1.1 nobody of that name"
            envelope.rcpt_tos.append(address)
            return "250 fine"

        async def handle_DATA(self, server, session, envelope):
            self.count += 1
            with open(f"{folder}/{self.count}.eml", "wb") as file:
                file.write(envelope.original_content)
            with open(f"{folder}/{self.count}.json", "w") as file:
                json.dump([envelope.mail_from, envelope.rcpt_tos], file)
            return "250 taken"

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(Handler(), hostname="127.0.0.1", port=port)
    controller.start()
    print(port, flush=True)
    sys.stdin.read()
    controller.stop()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
