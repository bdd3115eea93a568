"""Reads mails as Python's email package does, and tells what it found: a line of JSON for each file named."""

import email
import email.policy
import hashlib
import json
import sys


def addresses(mail, name):
    header = mail[name]
    return [[a.display_name, a.addr_spec] for a in header.addresses] if header else []


def told(path):
    with open(path, 'rb') as file:
        mail = email.message_from_binary_file(file, policy=email.policy.default)
    text = mail.get_body(('plain',))
    html = mail.get_body(('html',))
    return {
        'subject': mail['subject'],
        'from': addresses(mail, 'from'),
        'to': addresses(mail, 'to'),
        'cc': addresses(mail, 'cc'),
        'date': int(mail['date'].datetime.timestamp()),
        'messageId': mail['message-id'].strip('<>'),
        'inReplyTo': (mail['in-reply-to'] or '').strip('<> '),
        'references': [r.strip('<>') for r in (mail['references'] or '').split()],
        'text': text.get_content() if text else None,
        'html': html.get_content() if html else None,
        'attachments': [
            [a.get_filename(), a.get_content_type(), hashlib.sha256(a.get_payload(decode=True)).hexdigest()]
            for a in mail.iter_attachments()
        ],
        'defects': [str(d) for part in mail.walk() for d in part.defects],
    }


for path in sys.argv[1:]:
    print(json.dumps(told(path)))
