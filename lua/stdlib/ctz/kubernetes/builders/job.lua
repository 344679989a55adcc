-- kubernetes/builders/job.lua: the manifests of a Job and a CronJob.
-- SPDX-License-Identifier: MIT
local pod = require "ctz.kubernetes.builders.pod"
local shared = require "ctz.kubernetes.builders.shared"

local table, type = table, type

local JOB <const> = {
  "restart", "backoff_limit", "completions", "parallelism", "deadline", "keep_for", table.unpack(pod.FIELDS),
}
local CRON <const> = { "schedule", "time_zone", "concurrency", "suspend", "keep_succeeded", "keep_failed",
  "start_deadline", table.unpack(JOB) }

local function job_spec(given, problems)
  local spec = pod.spec(given, problems)
  spec.restartPolicy = shared.choice(problems, given.restart, "restart", { "Never", "OnFailure" }) or "Never"
  return {
    backoffLimit = shared.integer(problems, given.backoff_limit, "backoff_limit"),
    completions = shared.integer(problems, given.completions, "completions"),
    parallelism = shared.integer(problems, given.parallelism, "parallelism"),
    activeDeadlineSeconds = shared.integer(problems, given.deadline, "deadline", 1),
    ttlSecondsAfterFinished = shared.integer(problems, given.keep_for, "keep_for"),
    template = pod.template(shared.selector_labels(given), spec),
  }
end

--- ctz.kubernetes.job(description) -> table
--- The manifest of a Job with one container. The fields of the container are those of
--- ctz.kubernetes.deployment.
--- @param description.name string
--- @param description.image string
--- @param description.restart? "Never"|"OnFailure"  default "Never"
--- @param description.backoff_limit? integer  also completions, parallelism
--- @param description.deadline? integer  seconds that it may run
--- @param description.keep_for? integer  seconds after its end
--- @return table  the manifest
--- @error usage  what is wrong, with the place of each problem
--- @example local job = ctz.kubernetes.job{name="once", image="busybox", command={"true"}, backoff_limit=0}
--- @example assert(job.spec.template.spec.restartPolicy == "Never" and job.spec.backoffLimit == 0)
--- Api: batch/v1, Job
local function job(description)
  return shared.build("kubernetes.job", description, { api_version = "batch/v1", kind = "Job", fields = JOB },
    function(manifest, given, problems)
      manifest.spec = job_spec(given, problems)
    end)
end

-- Five fields or @daily.
local function is_schedule(text)
  if text:find "^@%a+$" then
    return true
  end
  local fields = 0
  for field in text:gmatch "%S+" do
    fields = fields + (field:find "^[%w*?/,-]+$" and 1 or 10)
  end
  return fields == 5
end

--- ctz.kubernetes.cronjob(description) -> table
--- The manifest of a CronJob: the fields of ctz.kubernetes.job and a schedule.
--- @param description.schedule string  "*/5 * * * *" or "@daily"
--- @param description.time_zone? string  "Europe/Berlin"
--- @param description.concurrency? "Allow"|"Forbid"|"Replace"
--- @param description.suspend? boolean
--- @param description.keep_succeeded? integer  also keep_failed; start_deadline in seconds
--- @return table  the manifest
--- @error usage  what is wrong, with the place of each problem
--- @example local nightly = ctz.kubernetes.cronjob{name="nightly", image="busybox", schedule="0 3 * * *"}
--- @example assert(nightly.spec.jobTemplate.spec.template.spec.containers[1].image == "busybox")
--- Api: batch/v1, CronJob
local function cronjob(description)
  return shared.build("kubernetes.cronjob", description, { api_version = "batch/v1", kind = "CronJob", fields = CRON },
    function(manifest, given, problems)
      if problems:check(given.schedule, "string", "schedule", true) and not is_schedule(given.schedule) then
        problems:usage("schedule", "expected five fields such as \"*/5 * * * *\" or \"@daily\", got %q", given.schedule)
      end
      problems:check(given.suspend, "boolean", "suspend")
      problems:check(given.time_zone, "string", "time_zone")
      if type(given.name) == "string" and #given.name > 52 then
        problems:usage("name", "the name of a CronJob has 52 characters at most")
      end
      manifest.spec = {
        schedule = given.schedule, timeZone = given.time_zone, suspend = given.suspend,
        concurrencyPolicy = shared.choice(problems, given.concurrency, "concurrency", { "Allow", "Forbid", "Replace" }),
        successfulJobsHistoryLimit = shared.integer(problems, given.keep_succeeded, "keep_succeeded"),
        failedJobsHistoryLimit = shared.integer(problems, given.keep_failed, "keep_failed"),
        startingDeadlineSeconds = shared.integer(problems, given.start_deadline, "start_deadline"),
        jobTemplate = { spec = job_spec(given, problems) },
      }
    end)
end

return { job = job, cronjob = cronjob }
