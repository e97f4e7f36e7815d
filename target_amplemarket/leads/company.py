"""Canonical company names, company domains and job titles.

A company domain is a registrable domain by the Public Suffix List, its private section included: under a host like
`github.io` or `myshopify.com` every name is somebody else's, and the public section alone would make them one company.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc
from publicsuffixlist import PublicSuffixList

from target_amplemarket.leads.canonical import INVISIBLE, complete, tidy_texts
from target_amplemarket.leads.email import ascii_host
from target_amplemarket.leads.free_mail import FREE_MAIL_DOMAINS
from target_amplemarket.storage.arrow import NO_TEXT

# Registrable domains and hosts where a link leads to a page on somebody else's site. An address at one of them
# (`@linkedin.com`) still names the employer, so they are refused for websites only.
_SHARED_SITES = """
linkedin.com lnkd.in facebook.com fb.com fb.me m.me messenger.com twitter.com x.com t.co instagram.com threads.net
threads.com bsky.app mastodon.social youtube.com youtu.be vimeo.com tiktok.com snapchat.com pinterest.com reddit.com
tumblr.com discord.com discord.gg t.me telegram.me whatsapp.com wa.me vk.com ok.ru weibo.com wechat.com zhihu.com
line.me xing.com viadeo.com angel.co wellfound.com crunchbase.com glassdoor.com indeed.com kununu.com clutch.co
g2.com capterra.com trustpilot.com yelp.com tripadvisor.com foursquare.com meetup.com eventbrite.com
about.me linktr.ee beacons.ai bio.link carrd.co medium.com substack.com blogger.com behance.net dribbble.com
github.com gitlab.com bitbucket.org stackoverflow.com soundcloud.com spotify.com twitch.tv quora.com
wikipedia.org slideshare.net issuu.com calendly.com etsy.com
bit.ly tinyurl.com goo.gl ow.ly buff.ly is.gd rebrand.ly g.page goo.gle
sites.google.com maps.google.com docs.google.com drive.google.com forms.gle business.site plus.google.com
apps.apple.com play.google.com
"""
SHARED_SITES = frozenset(_SHARED_SITES.split())
_NOT_A_COMPANYS_SITE = SHARED_SITES | FREE_MAIL_DOMAINS

# "https://www.acme.example:8080/about" and the like are for the slow path; the common website is matched here.
_WEBSITE = r"^(?:https?://)?(?P<host>(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,})(?:/[!-~]*)?$"
_MAIL_HOST = r"@(?P<host>[^@]+)$"
_UNSAFE = re.compile(r"[\s\\\x00-\x1f\x7f-\x9f]")
_MAX_HOST_CHARS = 253  # RFC 1035 2.3.4, without the dots at the ends
_MAX_WEBSITE_CHARS = 4096


def company_names(values: pa.StringArray) -> pa.StringArray:
    """Names trimmed, inner white space collapsed to one space; blank and placeholder values null. Case is kept."""
    return tidy_texts(values)


def titles(values: pa.StringArray) -> pa.StringArray:
    """Job titles, treated as `company_names`."""
    return tidy_texts(values)


def website_domains(websites: pa.StringArray) -> pa.StringArray:
    """Registrable domain of each website.

    Args:
        websites: URLs, hosts or domains as the source holds them. Social, profile and link-shortener sites, free-mail
            domains, addresses of machines and names under no public suffix (`.example` is taken for one) yield nothing.

    Returns:
        Lower-case ASCII domains, null where there is none.
    """
    distinct = websites.dictionary_encode()  # few, where colleagues are
    hosts = _website_hosts(distinct.dictionary).to_pylist()
    return _each(_company_site, hosts).take(distinct.indices)


def with_mail_domains(domains: pa.StringArray, emails: pa.StringArray) -> pa.StringArray:
    """The domains, and where one is missing that of the e-mail address, unless that is a free-mail domain.

    Args:
        domains: From `website_domains`.
        emails: Canonical addresses (`canonical_emails`), same length.
    """
    is_open = pc.and_(pc.is_null(domains), pc.is_valid(emails))
    if not pc.any(is_open).as_py():
        return domains
    hosts = pc.struct_field(pc.extract_regex(emails.filter(is_open), _MAIL_HOST), "host")
    distinct = hosts.dictionary_encode()
    of_mail = _each(_company_mail, distinct.dictionary.to_pylist()).take(distinct.indices)
    return pc.replace_with_mask(domains, is_open, of_mail)


def _website_hosts(websites: pa.StringArray) -> pa.StringArray:
    lower = pc.ascii_lower(pc.ascii_trim_whitespace(websites))
    plain = pc.struct_field(pc.extract_regex(lower, _WEBSITE), "host")
    plain = pc.if_else(pc.less_equal(pc.binary_length(plain), _MAX_HOST_CHARS), plain, NO_TEXT)
    return complete(websites, plain, website_host).value


def website_host(text: str) -> str | None:
    """Lower-case ASCII host of a URL or a bare host, or None where it cannot be a public one."""
    text = text.strip(INVISIBLE + "<>()[]\"'`,;")
    # urlsplit drops tabs and newlines in silence and joins what they part.
    if len(text) > _MAX_WEBSITE_CHARS or _UNSAFE.search(text):
        return None
    try:
        host = urlsplit(text if "://" in text else f"//{text.lstrip('/')}").hostname
    except ValueError:
        return None
    return ascii_host(host.removesuffix(".")) if host else None


def _each(domain_of: Callable[[str], str | None], hosts: list[str | None]) -> pa.StringArray:
    return pa.array([None if host is None else domain_of(host) for host in hosts], pa.string())


def _company_site(host: str) -> str | None:
    return _outside(_NOT_A_COMPANYS_SITE, host.removeprefix("www."))


def _company_mail(host: str) -> str | None:
    return _outside(FREE_MAIL_DOMAINS, host)


def _outside(others: frozenset[str], host: str) -> str | None:
    """Registrable domain of a host, unless one of the two is somebody else's."""
    domain = _registrable(host)
    return None if host in others or domain in others else domain


@lru_cache(maxsize=1 << 15)
def _registrable(host: str) -> str | None:
    """Registrable domain of a lower-case ASCII host; None for a public suffix and under an unknown one.

    A private suffix itself (`github.io`) is its owner's domain; what the owner keeps below it is nobody's.
    """
    if domain := _suffixes().privatesuffix(host):
        return str(domain)
    if host.endswith(".example"):  # RFC 2606: reserved for documentation and demonstrations, hence not in the list
        return ".".join(host.split(".")[-2:])
    return host if _public_suffixes().privatesuffix(host) == host else None


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False)


@lru_cache(maxsize=1)
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False, only_icann=True)
