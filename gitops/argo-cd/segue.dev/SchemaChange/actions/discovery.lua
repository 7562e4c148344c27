local status = obj.status or {}
local holds = {}
for _, condition in ipairs(status.conditions or {}) do
  holds[condition.type] = condition.status == "True"
end

local over = obj.metadata.deletionTimestamp ~= nil
  or status.phase == "Completed" or status.phase == "RolledBack" or status.phase == "Failed"
local back = obj.spec.rollback == true or status.phase == "RollingBack"
local suspended = obj.spec.suspend == true

-- Approval is asked for at the end of the phase before; within Drop it is asked once more.
local waiting = {
  Pending = "AddColumn", AddColumn = "DualWrite", DualWrite = "Backfill", Backfill = "SwitchReads",
  SwitchReads = "Quarantine", Quarantine = "Drop", Drop = "Drop"
}
local approve = { disabled = over or not holds.AwaitingApproval, iconClass = "fa fa-fw fa-check" }
if not approve.disabled then
  approve.displayName = "Approve " .. waiting[status.phase]
end

return {
  approve = approve,
  suspend = { disabled = over or suspended, iconClass = "fa fa-fw fa-pause" },
  resume = { disabled = over or not suspended, iconClass = "fa fa-fw fa-play" },
  rollback = { disabled = over or back, iconClass = "fa fa-fw fa-undo" },
  retry = { disabled = over or not holds.Stalled, iconClass = "fa fa-fw fa-redo" }
}
