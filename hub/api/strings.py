"""Every text that the console's scripts show, by the key they use. Scripts hold no text of their own."""

from __future__ import annotations

from hub.i18n import _, text
from hub.model.quantities import QUANTITIES
from hub.registry.kinds import DEVICE_KINDS

CONSOLE: dict[str, str] = {
    # the line to the hub
    "live": _("Live"),
    "connecting": _("Connecting…"),
    "reconnecting": _("Reconnecting…"),
    "polling": _("Refreshing every {s} s"),
    "offline": _("Offline since {time}"),
    "offline_banner": _("No connection to the hub since {time}. What you see may be out of date. Use phone or radio."),
    "hub_down": _("The hub is in trouble: {parts}. Alarms may be missing. Use phone or radio, and call the operator."),
    "hub_degraded": _("Part of the hub is in trouble: {parts}."),
    # the header
    "on_duty": _("On duty"),
    "nobody_on_duty": _("Nobody on duty"),
    "missing": _("{n} short"),
    "all_stations": _("All stations"),
    "stations_n": _("{n} stations"),
    "no_station": _("No station"),
    "menu": _("Menu"),
    "sound": _("Alarm sound"),
    "sound_blocked": _("Tap to switch the alarm sound on"),
    "theme": _("Light or dark"),
    "show_tests": _("Show test alarms"),
    "sign_out": _("Sign out"),
    "signed_in_as": _("Signed in as {name}"),
    # the list
    "recent": _("Recently closed"),
    "no_recent": _("Nothing was closed in the last 24 hours."),
    "empty_title": _("No open alerts"),
    "empty_text": _("All is quiet in your grids. A new alert appears here by itself."),
    "empty_unknown_title": _("Unknown whether there are alerts"),
    "empty_unknown_text": _("The hub cannot be heard or is in trouble. Alerts may exist that are not shown here."),
    "empty_filtered": _("No open alert fits the filter."),
    "clear_filter": _("Show all"),
    "more": _("Further alerts of {severity} are not shown. Filter them through the API."),
    "test_tag": _("Test"),
    "new_alert": _("New alert {severity}: {title}, {place}"),
    # one alert
    "elapsed": _("Elapsed"),
    "ack_in": _("Acknowledge within"),
    "scene_in": _("On scene within"),
    "overdue": _("overdue by {time}"),
    "escalated": _("Escalated to level {n}"),
    "do_now": _("Do now"),
    "device": _("Device"),
    "value": _("Value"),
    "limit": _("Limit"),
    "grid": _("Grid"),
    "station": _("Station"),
    "rule": _("Rule"),
    "raised_at": _("Raised"),
    "measured_at": _("Measured"),
    "acked_at": _("Acknowledged"),
    "on_scene_at": _("On scene"),
    "closed_at": _("Closed"),
    "occurrences": _("Occurrences"),
    "reason": _("Reason"),
    "call": _("Call {name}"),
    "back": _("Back to the list"),
    "timeline": _("Timeline"),
    "deliveries": _("Notifications"),
    "no_deliveries": _("Nobody was notified."),
    "more_actions": _("More"),
    "map_none": _("No outlines of your grids are known."),
    "yes": _("Yes"),
    "no": _("No"),
    "unknown": _("Unknown"),
    "loading": _("Loading…"),
    "not_found": _("There is no such alert in your grids."),
    "load_failed": _("Could not be loaded."),
    "try_again": _("Try again"),
    # what people do
    "acknowledge": _("Acknowledge"),
    "on_scene": _("On scene"),
    "false_alarm": _("False alarm"),
    "reinforce": _("Call for help"),
    "close": _("Close case"),
    "sending": _("Sending…"),
    "not_sent": _("Not sent: {why}"),
    "no_connection": _("no connection to the hub. Try again, or use phone or radio."),
    "close_when_normal": _("Can be closed when the device is back to normal, or as a false alarm."),
    "read_only": _("You may look, not act."),
    "false_alarm_title": _("Why was it a false alarm?"),
    "false_alarm_hint": _("It is written into the record and helps to find bad devices."),
    "cancel": _("Cancel"),
    "confirm_false_alarm": _("Mark as false alarm"),
    "reason_cooking": _("Cooking smoke"),
    "reason_steam": _("Steam or dust"),
    "reason_smoking": _("Cigarette smoke"),
    "reason_fault": _("Faulty device"),
    "reason_test": _("Unannounced test"),
    "reason_own_words": _("In your own words"),
    "close_title": _("Close this case?"),
    "close_hint": _("What was found and done? (may be left empty)"),
    "confirm_close": _("Close case"),
    "reinforce_title": _("Call for help?"),
    "reinforce_hint": _(
        "The backup stations and the next level are told at once. What do you need? (may be left empty)"
    ),
    "confirm_reinforce": _("Call for help now"),
    # states
    "case_reported": _("Not acknowledged"),
    "case_accepted": _("Acknowledged"),
    "case_on_scene": _("On scene"),
    "case_closed": _("Closed"),
    "case_false_alarm": _("False alarm"),
    "alarm_returned_unacked": _("Device back to normal"),
    "by": _("by {name}"),
    # the timeline
    "audit_raised": _("Alarm raised"),
    "audit_raised_again": _("Alarm again"),
    "audit_returned": _("Device back to normal"),
    "audit_acknowledge": _("Acknowledged"),
    "audit_acknowledge_again": _("Acknowledged again"),
    "audit_on_scene": _("On scene"),
    "audit_on_scene_again": _("On scene again"),
    "audit_false_alarm": _("Marked as false alarm"),
    "audit_false_alarm_again": _("Marked as false alarm again"),
    "audit_reinforce": _("Help called"),
    "audit_reinforce_again": _("Help called again"),
    "audit_close": _("Case closed"),
    "audit_close_again": _("Case closed again"),
    "audit_closed": _("Closed by itself"),
    "audit_escalated": _("Escalated to step {step}"),
    "audit_gap": _("Somebody could not be told"),
    "hub": _("Hub"),
    # deliveries
    "delivery_queued": _("waiting"),
    "delivery_sending": _("being sent"),
    "delivery_sent": _("sent, not confirmed"),
    "delivery_accepted": _("accepted"),
    "delivery_delivered": _("delivered"),
    "delivery_read": _("read"),
    "delivery_failed": _("failed"),
    "delivery_cancelled": _("no longer needed"),
    "accepted_after": _("accepted after {s} s"),
    "attempts": _("{n} attempts"),
    "transition_raised": _("Alarm"),
    "transition_step": _("Escalation {n}"),
    "transition_reinforce": _("Call for help {n}"),
    "transition_returned": _("Back to normal"),
    "transition_closed": _("Closed"),
    "channel_webhook": _("Webhook"),
    "channel_siren": _("Siren"),
    "channel_console": _("Console"),
}

SIGN_IN: dict[str, str] = {
    "signing_in": _("Signing in…"),
    "no_connection": _("No connection to the hub. Try again."),
    "token_missing": _("Enter your token."),
}

KINDS: dict[str, str] = {
    "smoke_alarm": _("Smoke alarm"),
    "heat_detector": _("Heat detector"),
    "co_alarm": _("Carbon monoxide alarm"),
    "gas_detector": _("Gas detector"),
    "charging_cabinet": _("Charging cabinet"),
    "charging_socket": _("Charging socket"),
    "gate": _("Gate"),
    "door": _("Door"),
    "lock": _("Lock"),
    "meter": _("Meter"),
    "water_leak": _("Water leak sensor"),
    "water_pressure": _("Water pressure sensor"),
    "fire_lane_camera": _("Fire lane camera"),
    "gateway": _("Gateway"),
    "env": _("Climate sensor"),
    "siren": _("Siren"),
    "hub": _("Hub"),
    "canary": _("Test device of the hub"),
}

_ELECTRIC = {"power_w": _("Power"), "current_a": _("Current"), "voltage_v": _("Voltage")}

QUANTITY: dict[str, str] = {
    "smoke": _("Smoke"),
    "smoke_density": _("Smoke density"),
    "smoke_density_db_m": _("Smoke density"),
    "co_ppm": _("Carbon monoxide"),
    "co_alarm": _("Carbon monoxide alarm"),
    "co2_ppm": _("Carbon dioxide"),
    "gas_alarm": _("Gas alarm"),
    "gas_lel_pct": _("Gas concentration"),
    "heat_alarm": _("Heat alarm"),
    "water_leak": _("Water leak"),
    "manual_call": _("Manual call point"),
    "battery_pct": _("Battery"),
    "battery_v": _("Battery voltage"),
    "battery_low": _("Battery low"),
    "tamper": _("Removed or tampered with"),
    "fault": _("Fault"),
    "test": _("Test button"),
    "mute": _("Muted"),
    "online": _("Online"),
    "canary": _("Self-test"),
    "temperature_c": _("Temperature"),
    "humidity_pct": _("Humidity"),
    "pressure_hpa": _("Air pressure"),
    "illuminance_lx": _("Brightness"),
    "occupancy": _("Presence"),
    "lane_occupied": _("Fire lane occupied"),
    "energy_import_kwh": _("Energy used"),
    "energy_export_kwh": _("Energy fed back"),
    "power_factor": _("Power factor"),
    "frequency_hz": _("Frequency"),
    "residual_current_ma": _("Residual current"),
    "cable_temperature_c": _("Cable temperature"),
    "apparent_power_va": _("Apparent power"),
    "reactive_power_var": _("Reactive power"),
    "relay_on": _("Switched on"),
    "charger_state": _("Charger"),
    "session_energy_kwh": _("Energy of this charge"),
    "session_duration_s": _("Duration of this charge"),
    "current_limit_a": _("Current limit"),
    "soc_pct": _("State of charge"),
    "cell_temperature_c": _("Cell temperature"),
    "current_ratio": _("Current against rating"),
    "door_open": _("Door open"),
    "lock_state": _("Lock"),
    "gate_state": _("Gate"),
    "access_result": _("Access"),
    "forced_open": _("Forced open"),
    "rssi_dbm": _("Signal strength"),
    "snr_db": _("Signal to noise"),
    "linkquality": _("Link quality"),
    "water_m3": _("Water used"),
    "gas_m3": _("Gas used"),
    "water_pressure_kpa": _("Water pressure"),
    "water_level_m": _("Water level"),
    "flow_m3_h": _("Flow"),
}

STATE_WORDS: dict[str, str] = {
    "available": _("available"),
    "preparing": _("preparing"),
    "charging": _("charging"),
    "suspended": _("suspended"),
    "finished": _("finished"),
    "faulted": _("faulted"),
    "unavailable": _("unavailable"),
    "locked": _("locked"),
    "unlocked": _("unlocked"),
    "unlocking": _("unlocking"),
    "locking": _("locking"),
    "jammed": _("jammed"),
    "unknown": _("unknown"),
    "closed": _("closed"),
    "opening": _("opening"),
    "open": _("open"),
    "closing": _("closing"),
    "stopped": _("stopped"),
    "fault": _("fault"),
    "granted": _("granted"),
    "denied": _("denied"),
}

ROLES: dict[str, str] = {
    "viewer": _("viewer"),
    "grid_worker": _("grid worker"),
    "station": _("station crew"),
    "officer": _("safety officer"),
    "admin": _("administrator"),
    "machine": _("machine"),
}


def quantity_name(name: str, locale: str) -> str:
    """How quantity `name` is called in `locale`, e.g. temperature_c → 温度, current_a_l1 → 电流 L1."""
    say = text(locale)
    if name in QUANTITY:
        return say(QUANTITY[name])
    for stem, said in _ELECTRIC.items():
        if name == stem or name.startswith(f"{stem}_"):
            return f"{say(said)} {name[len(stem) + 1 :].upper()}".rstrip()
    return name


def for_console(locale: str) -> dict[str, dict[str, str]]:
    """All texts of the console's scripts in `locale`."""
    say = text(locale)
    return {
        "text": {key: say(message) for key, message in CONSOLE.items()},
        "kind": {kind: say(KINDS[kind]) for kind in DEVICE_KINDS},
        "quantity": {name: quantity_name(name, locale) for name in QUANTITIES},
        "state": {word: say(message) for word, message in STATE_WORDS.items()},
        "role": {role: say(message) for role, message in ROLES.items()},
    }


def for_sign_in(locale: str) -> dict[str, str]:
    say = text(locale)
    return {key: say(message) for key, message in SIGN_IN.items()}
