"""Mail domains that say nothing about where a person works."""

from __future__ import annotations

# Criteria: anybody may open a mailbox without belonging to the organisation (free webmail, privacy mail, forwarding),
# or the mailbox comes with a private internet contract (ISP), or it is thrown away after use (disposable). A
# country's copy of a large provider is listed where it has users of its own. An ISP is left out where its staff write
# from the same domain as its customers and the company is the likelier sender (bt.com). Compiled by hand from these
# criteria; a domain that is missing costs no correctness elsewhere, it is only taken for a company's.
_WEBMAIL = """
gmail.com googlemail.com outlook.com outlook.at outlook.be outlook.cl outlook.com.ar outlook.com.au outlook.com.br
outlook.com.tr outlook.cz outlook.de outlook.dk outlook.es outlook.fr outlook.ie outlook.in outlook.it outlook.jp
outlook.kr outlook.pt outlook.sa hotmail.com hotmail.be hotmail.ca hotmail.ch hotmail.cl hotmail.co.jp hotmail.co.nz
hotmail.co.uk hotmail.co.za hotmail.com.ar hotmail.com.au hotmail.com.br hotmail.com.mx hotmail.com.tr hotmail.de
hotmail.dk hotmail.es hotmail.fi hotmail.fr hotmail.gr hotmail.hu hotmail.it hotmail.nl hotmail.no hotmail.se live.com
live.at live.be live.ca live.cl live.cn live.co.uk live.co.za live.com.ar live.com.au live.com.mx live.com.pt live.de
live.dk live.fi live.fr live.ie live.in live.it live.jp live.nl live.no live.ru live.se msn.com passport.com
windowslive.com yahoo.com yahoo.at yahoo.be yahoo.ca yahoo.cl yahoo.co.id yahoo.co.in yahoo.co.jp yahoo.co.kr
yahoo.co.nz yahoo.co.th yahoo.co.uk yahoo.co.za yahoo.com.ar yahoo.com.au yahoo.com.br yahoo.com.cn yahoo.com.co
yahoo.com.hk yahoo.com.mx yahoo.com.my yahoo.com.pe yahoo.com.ph yahoo.com.sg yahoo.com.tr yahoo.com.tw yahoo.com.ve
yahoo.com.vn yahoo.cz yahoo.de yahoo.dk yahoo.es yahoo.fr yahoo.gr yahoo.hu yahoo.ie yahoo.in yahoo.it yahoo.nl
yahoo.no yahoo.pl yahoo.ro yahoo.se ymail.com rocketmail.com myyahoo.com aol.com aol.co.uk aol.de aol.fr aim.com
netscape.net love.com icloud.com me.com mac.com privaterelay.appleid.com mail.com email.com usa.com post.com
consultant.com engineer.com europe.com asia.com dr.com writeme.com iname.com inbox.com hushmail.com lycos.com
excite.com juno.com netzero.net fastmail.com fastmail.fm sent.com zoho.com zohomail.com zohomail.eu zohomail.in
rediffmail.com indiatimes.com hey.com duck.com proton.me protonmail.com protonmail.ch pm.me tutanota.com tutanota.de
tuta.com tuta.io tutamail.com keemail.me mailfence.com posteo.de posteo.net mailbox.org disroot.org riseup.net
runbox.com startmail.com ctemplar.com skiff.com gmx.de gmx.net gmx.at gmx.ch gmx.com gmx.fr gmx.es gmx.co.uk gmx.us
web.de email.de freenet.de mail.de laposte.net caramail.com libero.it virgilio.it tiscali.it alice.it tim.it tin.it
inwind.it iol.it email.it terra.com.br uol.com.br bol.com.br ig.com.br globo.com globomail.com zipmail.com.br r7.com
seznam.cz email.cz centrum.cz atlas.cz post.cz volny.cz azet.sk centrum.sk zoznam.sk post.sk wp.pl o2.pl onet.pl
onet.eu op.pl interia.pl interia.eu poczta.fm poczta.onet.pl gazeta.pl tlen.pl freemail.hu citromail.hu vipmail.hu
abv.bg mail.bg dir.bg in.gr inbox.lv inbox.lt mail.ee hot.ee mail.ru inbox.ru list.ru bk.ru internet.ru rambler.ru
lenta.ru yandex.ru yandex.com yandex.by yandex.kz yandex.ua ya.ru ukr.net i.ua meta.ua bigmir.net tut.by walla.co.il
walla.com mynet.com maktoob.com qq.com vip.qq.com foxmail.com 163.com vip.163.com 126.com yeah.net 139.com 189.cn
sina.com sina.cn vip.sina.com sohu.com tom.com aliyun.com 21cn.com wo.cn 188.com naver.com hanmail.net daum.net
nate.com kakao.com hanmail.com excite.co.jp ezweb.ne.jp docomo.ne.jp softbank.ne.jp i.softbank.jp nifty.com
biglobe.ne.jp ocn.ne.jp infoseek.jp goo.jp hinet.net pchome.com.tw seed.net.tw netvigator.com singnet.com.sg
"""
_INTERNET_CONTRACT = """
comcast.net xfinity.com verizon.net att.net sbcglobal.net bellsouth.net pacbell.net ameritech.net swbell.net
charter.net spectrum.net twc.com roadrunner.com rr.com cox.net earthlink.net mindspring.com optonline.net optimum.net
frontier.com frontiernet.net windstream.net centurylink.net centurytel.net embarqmail.com q.com suddenlink.net
mediacombb.net cableone.net tds.net consolidated.net hughes.net wowway.com peoplepc.com rogers.com bell.net
sympatico.ca shaw.ca telus.net videotron.ca cogeco.ca eastlink.ca sasktel.net mts.net btinternet.com btopenworld.com
talktalk.net virginmedia.com virgin.net blueyonder.co.uk ntlworld.com sky.com tiscali.co.uk plusnet.com
freeserve.co.uk o2.co.uk eircom.net orange.fr wanadoo.fr free.fr sfr.fr neuf.fr bbox.fr numericable.fr aliceadsl.fr
club-internet.fr cegetel.net t-online.de arcor.de vodafone.de kabelmail.de unitybox.de netcologne.de ewe.net online.de
bluewin.ch hispeed.ch sunrise.ch swissonline.ch aon.at chello.at a1.net utanet.at inode.at skynet.be telenet.be
proximus.be scarlet.be voo.be ziggo.nl kpnmail.nl kpnplanet.nl planet.nl hetnet.nl home.nl xs4all.nl casema.nl
chello.nl quicknet.nl upcmail.nl telefonica.net movistar.es ono.com orange.es jazztel.es sapo.pt clix.pt netcabo.pt
mail.telepac.pt telia.com comhem.se bredband.net tele2.se spray.se online.no getmail.no broadpark.no tdcadsl.dk
mail.dk stofanet.dk elisanet.fi kolumbus.fi luukku.com suomi24.fi bigpond.com bigpond.net.au optusnet.com.au
iinet.net.au tpg.com.au internode.on.net westnet.com.au dodo.com.au xtra.co.nz slingshot.co.nz vodafone.co.nz
orcon.net.nz telkomsa.net mweb.co.za vodamail.co.za webmail.co.za otenet.gr forthnet.gr t-com.hr net.hr t-2.net
siol.net upcmail.hu t-online.hu rdslink.ro prodigy.net.mx speedy.com.ar fibertel.com.ar arnet.com.ar vtr.net
etb.net.co cantv.net airtelmail.in bsnl.in vsnl.com sify.com dataone.in emirates.net.ae
"""
_DISPOSABLE = """
mailinator.com guerrillamail.com guerrillamail.info sharklasers.com grr.la 10minutemail.com 20minutemail.com
temp-mail.org tempmail.com tempmail.net tempail.com throwawaymail.com trashmail.com trashmail.de yopmail.com
yopmail.fr maildrop.cc getnada.com nada.email dispostable.com mailnesia.com mintemail.com mohmal.com fakeinbox.com
spamgourmet.com discard.email emailondeck.com moakt.com burnermail.io getairmail.com mytemp.email tempr.email
wegwerfemail.de einrot.com simplelogin.com slmail.me anonaddy.com anonaddy.me addy.io mozmail.com
users.noreply.github.com
"""

FREE_MAIL_DOMAINS = frozenset((_WEBMAIL + _INTERNET_CONTRACT + _DISPOSABLE).split())
"""Lower-case ASCII domains of free, ISP and disposable mail: never taken for the domain of a company."""
