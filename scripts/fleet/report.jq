# SPDX-License-Identifier: GPL-2.0-or-later
# One report from the results of many checks, which are a JSON object each.
#   jq -n -f report.jq RESULTS...
#   jq -n -f report.jq --argjson expected 1000 RESULTS...     how many images there should be
# An image counts once, by what is worst about it, as in the exit status of a check. An image that was checked
# more than once counts as it was found the last time.

def verdict:
  if has("error") then (if .["exit-status"] == 63 then "not-supported" else "failed" end)
  elif .["check-errors"] > 0 then "failed"
  elif (.corruptions // 0) > 0 then "corrupt"
  elif (.leaks // 0) > 0 then "leaky"
  else "clean" end;

def exit_status:
  if .failed > 0 or .missing > 0 then 1
  elif .corrupt > 0 then 2
  elif .leaky > 0 then 3
  elif .["not-supported"] > 0 then 63
  else 0 end;

def sum_of(name): map(.[name] // 0) | add // 0;

def image_key: [.host, .filename];

[inputs | . + {verdict: verdict}]
| (reduce .[] as $image ({}; .[$image | image_key | tojson] = $image) | [.[]]) as $images
| ($images | map(.verdict)) as $verdicts
| {
    images: ($images | length),
    missing: ([($ARGS.named.expected // 0) - ($images | length), 0] | max)
  }
| reduce ("clean", "leaky", "corrupt", "failed", "not-supported") as $kind
    (.; .[$kind] = ($verdicts | map(select(. == $kind)) | length))
| .["exit-status"] = exit_status
| .corruptions = ($images | sum_of("corruptions"))
| .leaks = ($images | sum_of("leaks"))
| .hosts = ($images | group_by(.host) | map({host: .[0].host, images: length,
    faulty: map(select(.verdict != "clean" and .verdict != "not-supported")) | length}))
| .faulty = ($images | map(select(.verdict != "clean" and .verdict != "not-supported")
    | {host, filename, verdict, corruptions, leaks, "check-errors": .["check-errors"], error}
    | with_entries(select(.value != null))))
