"""Word lists of the made-up export, and what is composed from them.

People, companies and mailboxes are invented. Company domains end in `.example`, which nobody can register (RFC 6761).
The free-mail providers are real; the local parts say that they are not mailboxes and are longer than the
providers accept. Phone numbers come from the range kept for fiction (+1 … 555-01xx).
"""

from __future__ import annotations

import unicodedata


def _words(text: str, between: str | None = None) -> tuple[str, ...]:
    joined = text if between is None else text.strip().replace("\n", between)
    return tuple(word.strip() for word in joined.split(between))


FIRST_NAMES = _words(
    """
    Ada Adil Aiko Alma Amara Anders André Anika Anouk Aylin Björn Bruna Caio Camila Carla Chidi Clara Daan Dara
    Diego Dilan Ebba Edith Elif Emil Enzo Esther Farah Felix Fionn François Freya Gabor Greta Hana Hugo Ida Ingrid
    Ivo Jana Jiří Joana João Jonas José Kaia Karim Kofi Lars Leila Lina Louis Lucía Łukasz Maja Marek Mateo Maya
    Mei Mia Milan Nadia Naomi Nils Noor Núria Olga Omar Oskar Paula Pavel Pia Quinn Rafael Renée Rhea Robin Rosa
    Ruben Sacha Sam Selma Siân Signe Sofia Søren Tadeo Tariq Thandi Theo Tilda Uma Vera Victor Wanda Yara Yusuf
    Zainab Zoë
    """
)
LAST_NAMES = _words(
    """
    Abara Adler Almqvist Anand Åberg Baptiste Barros Becker Bianchi Bjarnason Bouchard Brandt Castellano Çelik
    Cohen Costa Dahl Dąbrowski Delacroix Dimitrov Duarte Eklund Endo Farkas Ferreira Fischer Fofana Gallego García
    Gómez Grünwald Haddad Hakimi Halloran Hansen Horváth Ibarra Ismail Ivanova Jansen Järvinen Kamau Kaplan Keller
    Kováč Kowalski Krüger Lambert Lefèvre Lindqvist Lopes Maalouf MacLeod Madaki Marchetti Mbeki Meyer Moreau
    Müller Nakano Navarro Ndiaye Nowak Núñez O'Leary Okafor Okoye Oliveira Østergaard Pereira Petrov Popescu Quiroga
    Rahman Rossi Šimek Salazar Sandoval Santos Schäfer Sørensen Stein Suzuki Takeda Teixeira Tomić Torres Ünal
    Van-Dijk Varga Vasquez Vidal Wagner Weiss Wójcik Yamada Yilmaz Zhang Zoric
    """
)
TITLES = _words(
    """
    Account Executive|Backend Engineer|Business Analyst|Buyer|Chief Financial Officer|Chief Technology Officer
    Controller|Customer Success Manager|Data Engineer|Demand Planner|Design Lead|Facilities Manager|Field Engineer
    Finance Manager|General Counsel|Head of Growth|Head of People|Head of Procurement|IT Manager|Maintenance Manager
    Marketing Manager|Office Manager|Operations Manager|Plant Manager|Principal Consultant|Product Manager
    Product Owner|Project Manager|Purchasing Manager|Quality Manager|Revenue Operations Manager|Sales Director
    Sales Operations Analyst|Security Engineer|Site Manager|Software Engineer|Supply Chain Manager
    Talent Partner|Technical Lead|VP Engineering|VP Operations|VP Sales
    """,
    between="|",
)
LEVELS = ("", "", "", "", "Senior ", "Lead ", "Interim ", "Deputy ", "Global ", "Regional ")

COMPANY_ROOTS = _words(
    """
    Aldervane Bexholm Brindlecote Calvorra Cindrell Corvanta Dellmora Dravenly Eastmarrow Elverind Fenwarra Ferrolund
    Galdwin Glenharrow Halvetta Hespera Ivorund Jessamere Kelvarro Kestrane Larkhaven Lumeridge Marrowick Meridune
    Nethercroft Norvalis Oakrend Orvindel Ostrevan Pelloria Quandrel Quillmoor Ravensund Rothmere Saltmarrow Selvarin
    Tarnwick Thornvale Umberlin Valdoren Velmora Vintarra Wendelhall Wexborne Yarrowind Zephrane
    """
)
COMPANY_TRADES = _words(
    """
    Aerospace Analytics Automation Bakeries Biotech Cargo Cement Chemicals Clinics Cloud Components Construction
    Diagnostics Electronics Energy Farms Fixtures Foods Freight Furniture Glass Health Hotels Instruments Insurance
    Labs Lighting Logistics Machines Maritime Materials Media Mobility Motors Optics Packaging Paper Payments
    Plastics Power Rail Robotics Security Software Solar Steel Storage Systems Textiles Timber Tools Water
    """
)
CITIES = (
    ("Lisboa", "Portugal"),
    ("Porto", "Portugal"),
    ("Madrid", "Spain"),
    ("Málaga", "Spain"),
    ("Berlin", "Germany"),
    ("Köln", "Germany"),
    ("Paris", "France"),
    ("Lyon", "France"),
    ("Leeds", "United Kingdom"),
    ("Bristol", "United Kingdom"),
    ("Kraków", "Poland"),
    ("Malmö", "Sweden"),
    ("São Paulo", "Brazil"),
    ("Toronto", "Canada"),
    ("Denver", "United States"),
    ("Austin", "United States"),
)
DEPARTMENTS = ("Engineering", "Finance", "Marketing", "Operations", "People", "Procurement", "Sales", None)
LEAD_SOURCES = ("Web", "Event", "Partner Referral", "Purchased List", "Webinar", "Other", None)

FREE_MAIL_DOMAINS = ("gmail.com", "outlook.com", "yahoo.com", "gmx.de")
SHARED_LOCAL_PARTS = ("info", "office", "sales", "contact")

OWNERS = (
    "dana@northwind.example",
    "lee@northwind.example",
    "priya@northwind.example",
    "tomas@northwind.example",
    "yemi@northwind.example",
)
UNKNOWN_OWNER = "former.colleague@northwind.example"

_NOT_DECOMPOSED = str.maketrans({"ł": "l", "ø": "o", "ß": "ss"})


def ascii_word(text: str) -> str:
    """Lower-case ASCII spelling of a name: `Søren O'Leary` gives `soren-oleary`."""
    lower = text.lower().translate(_NOT_DECOMPOSED).replace(" ", "-")
    folded = unicodedata.normalize("NFKD", lower)
    return "".join(letter for letter in folded if letter.isascii() and (letter.isalnum() or letter == "-"))


def company_domain(company_name: str) -> str:
    """Made-up domain of a made-up company: `Velmora & Sons` gives `velmora-sons.example`."""
    return ascii_word(company_name.replace(" & ", " ")) + ".example"
