-- Healthy lets the next sync wave go on, Degraded fails the sync. From Ready on nothing is Degraded: a change that is
-- held in its quarantine must not keep a hotfix from being deployed.
local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  return {
    status = "Progressing",
    message = "Segue has not looked at generation " .. tostring(obj.metadata.generation) .. " yet."
  }
end

local holds = {}
local reason = ""
for _, condition in ipairs(status.conditions or {}) do
  holds[condition.type] = condition.status == "True"
  if condition.type == "Ready" then reason = condition.reason end
end
local phase = status.phase or "Pending"

local observed = false
for _, workload in ipairs(obj.spec.workloads or {}) do
  observed = observed or workload.mode == "Observe"
end

-- Whether it was Ready before it was walked back, by the phase that comes after readyAt.
local after = {
  AddColumn = "DualWrite", DualWrite = "Backfill", Backfill = "SwitchReads", SwitchReads = "Quarantine",
  Quarantine = "Drop"
}
local wasReady = false
for _, entry in ipairs(status.history or {}) do
  wasReady = wasReady or entry.phase == after[obj.spec.readyAt or "Backfill"]
end

local health = { status = "Progressing", message = phase .. ", " .. reason .. ": " .. (status.message or "") }
if holds.Ready then
  health.status = "Healthy"
elseif phase == "RolledBack" then
  health.status = wasReady and "Healthy" or "Degraded"
  if not wasReady then
    -- A sync may be waiting here with new code, which would fail now.
    health.message = health.message .. " Take the SchemaChange, and code that needs it, out of Git."
  end
elseif holds.Stalled or phase == "Failed" then
  health.status = "Degraded"
elseif phase == "RollingBack" and reason == "NewCodeRunning" and observed then
  -- Waits for older code, which a later wave of this very sync brings.
  health.status = "Healthy"
elseif holds.Suspended or holds.AwaitingApproval then
  health.status = "Suspended"
end
return health
