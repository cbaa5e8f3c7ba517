"""Every rule of the CRDs, with what it accepts and what it refuses: data, for a real API server to judge."""

import copy

from api_objects import AGENT, CASCADE, POLICY, changed, region, two_ways

ORDER = {"until": "2026-11-21T12:00:00Z", "reason": "incident 4"}
RELAY = {
    "name": "turn-1", "urls": {"udp": "turn:turn-1.example.com:3478", "tls": "turns:turn-1.example.com"},
    "jurisdiction": "eu", "coturnSecret": {"secret": "turn-1"},
}  # fmt: skip
TWILIO_TURN = {"accountSid": "AC" + "e0" * 16, "credentials": {"secret": "twilio"}}
CANARY = {
    "name": "openai", "kind": "openai", "model": "gpt-realtime", "baseUrl": "wss://eu.api.openai.com/v1/realtime",
    "key": {"secret": "canary"},
}  # fmt: skip
EDGE = {"accountId": "e0e0", "credentials": {"secret": "cloudflare"}}
BOTH = {"name": "edge", "cloudflareLoadBalancer": EDGE}
TELNYX = {"name": "telnyx-eu", "telnyx": {"credentials": {"secret": "telnyx-eu"}}}
TWO_CARRIERS = changed(POLICY, "spec.carriers", [*POLICY["spec"]["carriers"], TELNYX])
RECORDED = changed(AGENT, "spec.telephony", {**AGENT["spec"].get("telephony", {}), "escalation": {"voicemail": True}})
OTHER_ATTEMPT = {**copy.deepcopy(AGENT["spec"]["attempts"][0]), "name": "second"}
TWO_WAYS = two_ways()
VOICE_LIVE = {
    "kind": "azure-voice-live", "baseUrl": "wss://clinic.services.ai.azure.com/voice-live/realtime",
    "options": {"agent": "desk", "project": "clinic"}, "apiKey": {"secret": "azure", "key": "api-key"},
}  # fmt: skip
HOURS = {"start": "18:00", "end": "08:00", "zone": "Europe/Berlin"}
TWENTY, TWENTY_ONE = ({f"option{number}": number for number in range(count)} for count in (20, 21))

# claim: (object, path, value that is accepted, value that is refused, words of the refusal)
PAIRS = {
    "an agent has at least one attempt": (
        AGENT, "spec.attempts", AGENT["spec"]["attempts"], [], "should have at least 1 items",
    ),
    "an agent's attempts have unique names": (
        AGENT, "spec.attempts", [AGENT["spec"]["attempts"][0], OTHER_ATTEMPT],
        [AGENT["spec"]["attempts"][0], AGENT["spec"]["attempts"][0]], "Duplicate value",
    ),
    "a message of a caller is kept only where audio may be kept": (
        RECORDED, "spec.privacy", {"record": True}, {"record": False}, "so it needs privacy.record",
    ),
    "an attempt says which kind it is": (
        AGENT, "spec.attempts.0.realtime.kind", "openai", "smoke-signals", "Unsupported value",
    ),
    "an attempt is one of the kinds there are": (
        AGENT, "spec.attempts.0", CASCADE, {"name": "openai", "voice": "marin"}, "either realtime or a cascade",
    ),
    "an attempt is not both": (
        TWO_WAYS, "spec.attempts.1", CASCADE, {**CASCADE, **OTHER_ATTEMPT}, "either realtime or a cascade",
    ),
    "a cascade is whole": (
        TWO_WAYS, "spec.attempts.1.cascade", CASCADE["cascade"], {"stt": CASCADE["cascade"]["stt"]}, "Required value",
    ),
    "a stage is of a kind that does its work": (
        TWO_WAYS, "spec.attempts.1.cascade.stt.kind", "deepgram-nova", "elevenlabs", "Unsupported value",
    ),
    "a model is named where nothing takes its place": (
        AGENT, "spec.attempts.0.realtime", VOICE_LIVE, {**VOICE_LIVE, "kind": "openai"}, "a model is named, except",
    ),
    "a language model is named": (
        TWO_WAYS, "spec.attempts.1.cascade.llm.model", "eu.anthropic.claude-haiku-4-5:0", None, "Required value",
    ),
    "a provider is reached over TLS": (
        AGENT, "spec.attempts.0.realtime.baseUrl", "wss://gateway.example.com:8443/v1", "ws://gateway.example.com/v1",
        "should match",
    ),
    "a stage that hears is reached over TLS": (
        TWO_WAYS, "spec.attempts.1.cascade.stt.baseUrl", "wss://stt.example.com", "https://stt.example.com",
        "should match",
    ),
    "a language model is asked over HTTPS": (
        TWO_WAYS, "spec.attempts.1.cascade.llm.baseUrl", "https://llm.example.com/v1?a=b", "wss://llm.example.com",
        "should match",
    ),
    "an address has a port that there is": (
        AGENT, "spec.attempts.0.realtime.baseUrl", "wss://eu.api.openai.com:65535/v1", "wss://eu.api.openai.com:65536/v1",
        "should match",
    ),
    "an address can be read": (
        AGENT, "spec.attempts.0.realtime.baseUrl", "wss://eu.api.openai.com", "wss://[eu/v1", "should match",
    ),
    "options are few": (
        AGENT, "spec.attempts.0.realtime.options", TWENTY, TWENTY_ONE, "must have at most 20 items",
    ),
    "an attempt's share is a part of a hundred": (
        AGENT, "spec.attempts.0.weight", 100, 101, "should be less than or equal to 100",
    ),
    "hours are times of a clock": (
        AGENT, "spec.attempts.0.when", {"hours": HOURS}, {"hours": {**HOURS, "end": "24:00"}}, "should match",
    ),
    "hours last": (
        AGENT, "spec.attempts.0.when", {"hours": HOURS}, {"hours": {**HOURS, "end": "18:00"}},
        "hours end at another time than they start",
    ),
    "a rule has a condition": (
        AGENT, "spec.attempts.0.when", {"callers": ["+423"]}, {}, "a rule without a condition is none",
    ),
    "of a caller's number no more is asked than a country": (
        AGENT, "spec.attempts.0.when", {"callers": ["+1", "+423"]}, {"callers": ["+4930"]}, "may not be more than 4",
    ),
    "words of compliance are words": (
        AGENT, "spec.compliance", ["hipaa", "pci-dss"], ["HIPAA!"], "should match",
    ),
    "an attempt declares a word once": (
        AGENT, "spec.attempts.0.declares", ["hipaa", "soc2"], ["hipaa", "hipaa"], "Duplicate value",
    ),
    "a call is recorded or not": (
        AGENT, "spec.privacy", {"record": True}, {"record": "perhaps"}, "must be of type boolean",
    ),
    "what vendors store is theirs to say, or off": (
        AGENT, "spec.privacy", {"vendorStorage": "off"}, {"vendorStorage": "never"}, "Unsupported value",
    ),
    "a stage has a budget that can be kept": (
        AGENT, "spec.latency", {"llmMs": 10}, {"llmMs": 0}, "should be greater than or equal to 10",
    ),
    **{
        f"{stage} is a part of the whole": (
            AGENT, "spec.latency", {stage: 800, "firstAudioMs": 800}, {stage: 801, "firstAudioMs": 800},
            "must not be above latency.firstAudioMs",
        )
        for stage in ("sttMs", "llmMs", "ttsMs")
    },
    "credentials do not stand in headers": (
        AGENT, "spec.attempts.0.realtime.headers", {"X-Tenant": "a"}, {"Authorization": "Bearer x"},
        "credentials belong into a Secret",
    ),
    "credentials of a stage do not, either": (
        TWO_WAYS, "spec.attempts.1.cascade.tts.headers", {"X-Tenant": "a"}, {"xi-api-key": "x"},
        "credentials belong into a Secret",
    ),
    "tools have unique names": (
        AGENT, "spec.tools", AGENT["spec"]["tools"], AGENT["spec"]["tools"] * 2, "Duplicate value",
    ),
    "what has side effects is not kept": (
        changed(AGENT, "spec.tools.0.webhook.cacheSeconds", 60), "spec.tools.0.sideEffects", False, True,
        "a tool with side effects has no answer that could be kept",
    ),
    "a tool's webhook lies outside or in the cluster": (
        AGENT, "spec.tools.0.webhook.network", "cluster", "anywhere", "Unsupported value",
    ),
    "a tool's network is one": (
        POLICY, "spec.tenants.0.toolNetworks", ["10.96.0.0/12", "fd00:10::/64"], ["10.96.0.0"], "should match",
    ),
    "pods have a lower bound below the upper one": (
        AGENT, "spec.replicas", {"min": 2, "max": 2}, {"min": 3, "max": 2}, "replicas.min must not be above",
    ),
    "numbers are E.164": (
        AGENT, "spec.telephony.numbers.0.number", "+12025550123", "030 555010", "should match",
    ),
    "numbers are unique": (
        AGENT, "spec.telephony.numbers", [{"carrier": "a", "number": "+4930555010"}],
        [{"carrier": "a", "number": "+4930555010"}, {"carrier": "a", "number": "+4930555010"}], "Duplicate value",
    ),
    "numbers of one agent lie with one carrier": (
        AGENT, "spec.telephony.numbers",
        [{"carrier": "a", "number": "+4930555010"}, {"carrier": "a", "number": "+4930555011"}],
        [{"carrier": "a", "number": "+4930555010"}, {"carrier": "b", "number": "+4930555011"}], "one carrier",
    ),
    "an agent's name fits into a Service's": (
        AGENT, "metadata.name", "a" * 40, "a" * 41, "DNS label of at most 40",
    ),
    "strings are bounded": (
        AGENT, "spec.persona.greeting", "a" * 1024, "a" * 1025, "may not be more than 1024",
    ),
    "at least one region has weight": (
        POLICY, "spec.regions", [{"name": "fra", "weight": 0}, {"name": "ams", "weight": 1}],
        [{"name": "fra", "weight": 0}, {"name": "ams", "weight": 0}], "weight above 0",
    ),
    "regions of a policy are unique": (
        POLICY, "spec.regions", [{"name": "fra", "weight": 1}],
        [{"name": "fra", "weight": 1}, {"name": "fra", "weight": 1}], "Duplicate value",
    ),
    "a witness is not a region": (
        POLICY, "spec.witnesses", ["iad", "lhr"], ["iad", "ams"], "a witness must not be one of the regions",
    ),
    "minServing can be met": (
        POLICY, "spec.guards.minServing", 2, 3, "must not be above the number of regions",
    ),
    "tenants use carriers of the policy": (
        POLICY, "spec.tenants.0.carriers", ["twilio-eu"], ["telnyx"], "must name carriers of this policy",
    ),
    "a lever is one of the kinds there are": (
        POLICY, "spec.levers.0", POLICY["spec"]["levers"][0], {"name": "edge"}, "a lever is of one kind",
    ),
    "a lever is not two": (
        POLICY, "spec.levers.0", {"name": "edge", "cloudflareTunnel": EDGE}, {**BOTH, "cloudflareTunnel": EDGE},
        "a lever is of one kind",
    ),
    "a balancer is named whole": (
        POLICY, "spec.levers.0.cloudflareLoadBalancer", {**EDGE, "zoneId": "a1", "loadBalancerId": "b2"},
        {**EDGE, "zoneId": "a1"}, "zoneId and loadBalancerId are given together",
    ),
    "steering is written into a balancer that is named": (
        POLICY, "spec.levers.0.cloudflareLoadBalancer",
        {**EDGE, "steering": "geo", "zoneId": "a1", "loadBalancerId": "b2"},
        {**EDGE, "steering": "geo"}, "steering is written into the balancer",
    ),
    "a lever of a carrier names one of the policy": (
        POLICY, "spec.levers.0", {"name": "numbers", "twilioNumber": {"carrier": "twilio-eu"}},
        {"name": "numbers", "twilioNumber": {"carrier": "twilio-us"}}, "must name a carrier of this policy",
    ),
    "a lever of one vendor does not name the other's account": (
        TWO_CARRIERS, "spec.levers.0", {"name": "numbers", "telnyxNumber": {"carrier": "telnyx-eu"}},
        {"name": "numbers", "telnyxNumber": {"carrier": "twilio-eu"}}, "must name a carrier of this policy",
    ),
    "a dispatcher has proxies": (
        POLICY, "spec.levers.0", {"name": "sip", "kamailioDispatcher": {"proxies": ["http://10.0.0.5:8080/"]}},
        {"name": "sip", "kamailioDispatcher": {"proxies": []}}, "should have at least 1 items",
    ),
    "drift is shown or undone": (
        POLICY, "spec.levers.0.drift", "enforce", "ignore", "Unsupported value",
    ),
    "a carrier is of one vendor": (
        TWO_CARRIERS, "spec.carriers.1", TELNYX, {**TELNYX, **POLICY["spec"]["carriers"][0], "name": "both"},
        "a carrier is either twilio or telnyx",
    ),
    "a policy has a zone key": (
        POLICY, "spec.signing", {"secret": "zone-eu"}, None, "Required value",
    ),
    "a policy's host is a host": (
        POLICY, "spec.host", "eu.voice.example.com", "https://eu.voice.example.com", "should match",
    ),
    "a TURN server is reached somehow": (
        region("fra"), "spec.turn", [RELAY], [{**RELAY, "urls": {}}], "name at least one of udp, tcp and tls",
    ),
    "a TURN server's credentials come from one place": (
        region("fra"), "spec.turn", [RELAY], [{**RELAY, "twilio": TWILIO_TURN}], "name exactly one of coturnSecret",
    ),
    "a TURN server's address is one": (
        region("fra"), "spec.turn", [RELAY], [{**RELAY, "urls": {"udp": "http://turn.example.com"}}], "should match",
    ),
    "a canary key holds no credentials in its headers": (
        POLICY, "spec.canaryKeys", [CANARY], [{**CANARY, "headers": {"api-key": "x"}}], "credentials belong into",
    ),
    "a provider is judged by failures that there are": (
        POLICY, "spec.provider.on", ["5xx"], ["mood"], "Unsupported value",
    ),
    "a tenant may be bounded": (
        POLICY, "spec.tenants.0.maxReplicas", 20, 0, "should be greater than or equal to 1",
    ),
    "a cordon may be a drain": (
        region("fra"), "spec.cordon", {**ORDER, "drain": True}, {**ORDER, "drain": "soon"}, "must be of type boolean",
    ),
    "a region has a jurisdiction": (
        region("fra"), "spec.jurisdiction", "eu", None, "Required value",
    ),
    "one region at least is never cordoned": (
        POLICY, "spec.guards.maxCordoned", 1, 2, "maxCordoned must be below the number of regions",
    ),
    "a zone of one region needs no other": (
        changed(POLICY, "spec.regions", [{"name": "fra", "weight": 1}]), "spec.guards.maxCordoned", 1, 11,
        "should be less than or equal to 10",
    ),
    "a dwell is longer than a loss takes to be seen": (
        POLICY, "spec.region.dwellSeconds", 11, 10,
        "must not be below the time in which a loss is detected",
    ),
    "a shorter dwell takes a faster probe": (
        changed(POLICY, "spec.region.dwellSeconds", 2), "spec.probe",
        {"intervalSeconds": 1, "timeoutMs": 200, "confirmations": 2, "confirmEveryMs": 100},
        {"intervalSeconds": 1, "timeoutMs": 300, "confirmations": 2, "confirmEveryMs": 100}, "spec.region.dwellSeconds",
    ),
    "a pod outlives its drain": (
        POLICY, "spec.inFlight", {"drainSeconds": 600, "graceSeconds": 600},
        {"drainSeconds": 600, "graceSeconds": 599},
        "graceSeconds must not be below inFlight.drainSeconds",
    ),
    "a drain that is longer than usual says its grace period": (
        changed(POLICY, "spec.inFlight.drainSeconds", 900), "spec.inFlight.graceSeconds", 900, 660,
        "spec.inFlight.graceSeconds",
    ),
    "a ramp ascends": (
        POLICY, "spec.region.ramp", [10, 100], [50, 25, 100], "region.ramp must ascend",
    ),
    "each step of a ramp is another": (
        POLICY, "spec.region.ramp", [100], [50, 50, 100], "region.ramp must ascend",
    ),
    "a ramp ends with the whole weight": (
        POLICY, "spec.region.ramp", [5, 100], [5, 50], "region.ramp must end in 100",
    ),
    "a ramp has few steps": (
        POLICY, "spec.region.ramp", [1, 2, 3, 4, 5, 6, 7, 100], [1, 2, 3, 4, 5, 6, 7, 8, 100],
        "must have at most 8 items",
    ),
    "headroom leaves room": (
        POLICY, "spec.guards.headroomPercent", 90, 91, "should be less than or equal to 90",
    ),
    "a zone is paused or not": (
        POLICY, "spec.paused", True, "for a while", "must be of type boolean",
    ),
    "a zone's name is a part of its Leases' names": (
        POLICY, "metadata.name", "a" * 40, "eu.west", "the zone's Leases are named after it",
    ),
    "a region's name is a label": (
        region("fra"), "metadata.name", "fra-1", "fra.1", "the name must be a DNS label",
    ),
    "a cordon ends": (
        region("fra"), "spec.cordon", {"until": "2026-11-21T12:00:00Z", "reason": "new disks"},
        {"reason": "new disks"}, "spec.cordon.until: Required value",
    ),
    "a cordon says why": (
        region("fra"), "spec.cordon", {"until": "2026-11-21T12:00:00+01:00", "reason": "x"},
        {"until": "2026-11-21T12:00:00Z", "reason": ""}, "should be at least 1 chars",
    ),
    "a cordon ends at a moment": (
        changed(region("fra"), "spec.cordon", ORDER), "spec.cordon.until", "2026-11-21T12:00:00.5Z", "tomorrow",
        "must be of type date-time",
    ),
    "an override names a guard that may be overridden": (
        region("fra"), "spec.override", {**ORDER, "guard": "Dwell"}, {**ORDER, "guard": "NoQuorum"},
        "Unsupported value",
    ),
    "an override names one guard": (
        region("fra"), "spec.override", {**ORDER, "guard": "MaxCordoned"}, ORDER, "spec.override.guard: Required value",
    ),
    "an override ends": (
        region("fra"), "spec.override", {**ORDER, "guard": "Budget"}, {"guard": "Budget", "reason": "incident 4"},
        "spec.override.until: Required value",
    ),
    "an override says why": (
        region("fra"), "spec.override", {**ORDER, "guard": "Capacity"}, {"guard": "Capacity", "until": ORDER["until"]},
        "spec.override.reason: Required value",
    ),
}  # fmt: skip
