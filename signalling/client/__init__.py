"""A WHIP and WHEP client (RFC 9725, draft-ietf-wish-whep): what `palco publish` and `palco listen` speak.

    place = Place(url="http://127.0.0.1:7880", space="demo", token=token)
    async with publish(place, ToneTrack(440)) as speaking: ...
    async with listen(place, slots=3) as listening: ...

Also the client of tests and benchmarks: media by aiortc, HTTP by httpx2.
"""

from signalling.client.problem import RefusedError
from signalling.client.resource import Place
from signalling.client.session import Listening, Speaking, Statistics, listen, publish
from signalling.client.sources import FileTrack, SourceError, ToneTrack

__all__ = [
    "FileTrack",
    "Listening",
    "Place",
    "RefusedError",
    "SourceError",
    "Speaking",
    "Statistics",
    "ToneTrack",
    "listen",
    "publish",
]
