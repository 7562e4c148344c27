local waits = false
for _, condition in ipairs((obj.status or {}).conditions or {}) do
  waits = waits or (condition.type == "AwaitingApproval" and condition.status == "True")
end
if not waits then
  -- A click that comes late must not approve a later phase.
  error("Nothing waits for approval now; look at the change again.", 0)
end

local waiting = {
  Pending = "AddColumn", AddColumn = "DualWrite", DualWrite = "Backfill", Backfill = "SwitchReads",
  SwitchReads = "Quarantine", Quarantine = "Drop", Drop = "Drop"
}
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["segue.dev/approve"] = waiting[obj.status.phase]
return obj
