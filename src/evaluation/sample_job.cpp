#include "daguerre/evaluation/sample_job.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "config/json.hpp"
#include "core/paths.hpp"
#include "core/sha256.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/evaluation/chunk_folder.hpp"
#include "daguerre/evaluation/file_fingerprint.hpp"
#include "daguerre/evaluation/process_group.hpp"
#include "evaluation/request_settings.hpp"

namespace daguerre::evaluation {
namespace {

constexpr const char* sample_job_name = "job";
constexpr Index most_samples = 10'000'000;
constexpr Index most_listed = 20'000;  // items in a job's description, each by itself

void check_counts(std::size_t kinds, Index count, std::uint64_t seed) {
  if (kinds == 0) throw ArgumentError(sample_job_name, "there are no prompts or classes to make pictures of");
  if (count < 1 || count > most_samples)
    throw ArgumentError(sample_job_name,
                        std::to_string(count) + " pictures, expected 1 to " + std::to_string(most_samples));
  if (seed > std::numeric_limits<std::uint64_t>::max() - static_cast<std::uint64_t>(count - 1))
    throw ArgumentError(sample_job_name, "seed " + std::to_string(seed) + " and " +
                                             std::to_string(count - 1) + " after it go beyond 2^64 - 1");
}

/// Whether `next` can be made in one run with the items from `first` on, `behind` places before it.
bool goes_on(const SampleItem& first, const SampleItem& next, std::uint64_t behind) {
  return first.prompt == next.prompt && first.negative_prompt == next.negative_prompt &&
         first.class_label.has_value() == next.class_label.has_value() && next.seed >= behind &&
         next.seed - behind == first.seed;
}

nlohmann::json item_settings(const SampleItem& item) {
  nlohmann::json result = {{"seed", item.seed}};
  if (item.class_label)
    result["class"] = *item.class_label;
  else
    result["prompt"] = item.prompt;
  if (item.negative_prompt) result["negative_prompt"] = *item.negative_prompt;
  if (!item.category.empty()) result["category"] = item.category;
  return result;
}

}  // namespace

std::vector<SampleItem> sample_items(std::span<const SuitePrompt> prompts, Index count, std::uint64_t seed) {
  check_counts(prompts.size(), count, seed);
  std::vector<SampleItem> items(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < items.size(); ++i) {
    items[i].prompt = prompts[i % prompts.size()].text;
    items[i].category = prompts[i % prompts.size()].category;
    items[i].seed = seed + i;
  }
  return items;
}

std::vector<SampleItem> sample_items(std::span<const std::int32_t> classes, Index count, std::uint64_t seed) {
  check_counts(classes.size(), count, seed);
  std::vector<SampleItem> items(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < items.size(); ++i) {
    items[i].class_label = classes[i % classes.size()];
    items[i].seed = seed + i;
  }
  return items;
}

SampleJob::SampleJob(Pipeline pipeline, Request request, std::vector<SampleItem> items,
                     SampleJobOptions options)
    : pipeline_(std::move(pipeline)),
      request_(std::move(request)),
      items_(std::move(items)),
      options_(std::move(options)) {
  request_settings(request_);  // throws for what cannot be named
  if (items_.empty()) throw ArgumentError(sample_job_name, "there are no pictures to make");
  if (options_.chunk < 1 || options_.chunk > 4096)
    throw ArgumentError(sample_job_name,
                        std::to_string(options_.chunk) + " pictures in a chunk, expected 1 to 4096");
  if (pipeline_.info().makes_films)
    throw ArgumentError(sample_job_name, "the model makes films, not pictures");
  request_.output = {.latents = false};
  // Otherwise the memory that is free would decide, here and now.
  if (request_.vae_tiling.use == VaeTiling::Use::automatic) request_.vae_tiling.use = VaeTiling::Use::off;
}

Index SampleJob::end_of(Index chunk) const noexcept {
  return std::min(size(), (chunk + 1) * options_.chunk);
}

std::string SampleJob::description() const {
  const auto& info = pipeline_.info();
  auto files = options_.files;
  for (auto& file : request_files(request_)) files.push_back(std::move(file));
  for (const auto& part : info.parts)
    if (path_exists(part.source)) files.emplace_back(part.source);
  nlohmann::json items;
  if (size() <= most_listed) {
    for (const auto& item : items_) items.push_back(item_settings(item));
  } else {  // what differs is then not named
    Sha256 hash;
    for (const auto& item : items_) {
      const auto line = to_text(item_settings(item)) + "\n";
      hash.add(std::as_bytes(std::span(line)));
    }
    items = {{"count", size()}, {"sha256", hash.hex()}};
  }
  nlohmann::json at_load = nlohmann::json::array();
  for (const auto& lora : info.loras)
    at_load.push_back(
        {{"name", lora.name}, {"weight", lora.weight}, {"text_encoder_weight", lora.text_encoder_weight}});
  nlohmann::json job = {{"kind", "sample"},
                        {"model",
                         {{"name", info.name},
                          {"fingerprint", file_fingerprint(files)},
                          {"engine", info.engine},
                          {"precision", std::string(short_name(info.precision))}}},
                        {"request", request_settings(request_)},
                        {"chunk", options_.chunk},
                        {"items", std::move(items)}};
  if (!at_load.empty()) job["model"]["loras"] = std::move(at_load);
  if (!options_.more.empty()) job["model"]["more"] = options_.more;
  return to_text(job) + "\n";
}

std::vector<SampledPicture> SampleJob::make(Index chunk) const {
  std::vector<SampledPicture> result;
  const Index end = end_of(chunk);
  const bool alone = request_.sampling.variation_strength.value_or(0.0) > 0.0;
  for (Index begin = begin_of(chunk); begin < end;) {
    const auto& first = items_[static_cast<std::size_t>(begin)];
    auto request = request_;
    request.prompt = first.prompt;
    if (first.negative_prompt) request.negative_prompt = first.negative_prompt;
    request.sampling.seed = first.seed;
    // Those of one condition, whose seeds follow each other, are one run; each of its pictures is the one
    // that it would be alone.
    Index behind = begin;
    do {
      const auto& item = items_[static_cast<std::size_t>(behind)];
      if (behind > begin && (alone || !goes_on(first, item, static_cast<std::uint64_t>(behind - begin))))
        break;
      if (item.class_label) request.class_labels.push_back(*item.class_label);
    } while (++behind < end);
    request.output.count = static_cast<int>(behind - begin);
    auto made = pipeline_.generate(request);
    for (Index i = begin; i < behind; ++i) {
      const auto n = static_cast<std::size_t>(i - begin);
      result.push_back(
          {.index = i, .image = std::move(made.images.at(n)), .settings = std::move(made.infotexts.at(n))});
    }
    begin = behind;
  }
  return result;
}

void SampleJob::run(
    ProcessGroup& group, const ChunkFolder& folder, std::string_view stem, std::string_view extension,
    const std::function<void(std::vector<SampledPicture>, const std::filesystem::path&)>& keep) const {
  folder.complete(
      group, stem, chunks(), extension,
      [&](Index chunk, const std::filesystem::path& unfinished) { keep(make(chunk), unfinished); });
}

}  // namespace daguerre::evaluation
