#include <fstream>
#include <limits>

#include <nlohmann/json.hpp>

#include "conformance/case.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/models/language/token_sampler.hpp"

/// Recorded runs of sampled generation: case.json holds the options of each run, io.safetensors the prompt,
/// the uniform numbers, the ids, and logits and scores of some steps.
namespace daguerre::conformance {
namespace {

namespace fs = std::filesystem;

models::TokenSamplerOptions sampler_options(const nlohmann::json& run) {
  models::TokenSamplerOptions options;
  for (const auto& [key, value] : run.items()) {
    if (key == "temperature")
      options.temperature = value;
    else if (key == "top_k")
      options.top_k = value;
    else if (key == "top_p")
      options.top_p = value;
    else if (key == "min_p")
      options.min_p = value;
    else if (key == "typical_p")
      options.typical_p = value;
    else if (key == "repetition_penalty")
      options.repetition_penalty = value;
    else if (key == "no_repeat_ngram_size")
      options.no_repeat_ngram_size = value;
    else if (key == "bad_words_ids")
      options.bad_words = value.get<std::vector<std::vector<std::int32_t>>>();
    else if (key == "do_sample")
      options.greedy = !value.get<bool>();
    else if (key != "max_new_tokens" && key != "kept" && key != "closest_cdf_edge")
      throw ConfigError("token_sampling", "the option " + key + " is not known");
  }
  return options;
}

std::vector<std::int32_t> ids_of(const Recorded& recorded, const std::string& name) {
  const auto values = recorded.file().read<std::int64_t>(name);
  return {values.span().begin(), values.span().end()};
}

/// The reference's removed scores are the least float32, ours -infinity; both as 0 here, and apart from
/// others.
Check compare_scores(const std::string& name, std::vector<float> found, const Tensor<float>& expected) {
  Tensor<float> ours(expected.shape()), theirs(expected.shape());
  bool same = true;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const bool gone = expected.span()[i] == std::numeric_limits<float>::lowest();
    same = same && gone == (found[i] == -std::numeric_limits<float>::infinity());
    ours.span()[i] = gone ? 0.0f : found[i];
    theirs.span()[i] = gone ? 0.0f : expected.span()[i];
  }
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return {name, same ? test::difference(ours, theirs) : test::Difference{infinity, infinity}, bounds::random};
}

}  // namespace

std::optional<Result> run_token_sampling(const fs::path& folder) {
  if (!fs::exists(folder / "case.json")) return std::nullopt;
  std::ifstream file(folder / "case.json");
  const auto description = nlohmann::json::parse(file);
  if (!description.contains("draw") || !description.contains("runs")) return std::nullopt;
  const Recorded recorded(folder / "io.safetensors");
  Result result;
  for (const auto& [name, run] : description.at("runs").items()) {
    const models::TokenSampler sampler(sampler_options(run));
    const auto prompt = ids_of(recorded, name + ".in.input_ids"), ids = ids_of(recorded, name + ".out.ids");
    const auto uniform = recorded.file().read<float>(name + ".in.uniform");
    for (std::size_t step = 0; prompt.size() + step < ids.size(); ++step) {
      const auto number = std::to_string(step);
      if (!recorded.has(name + ".logits." + number)) continue;
      const auto logits = recorded.file().read<float>(name + ".logits." + number);
      std::vector<float> scores(logits.span().begin(), logits.span().end());
      const std::span<const std::int32_t> so_far(ids.data(), prompt.size() + step);
      const auto id = sampler.next(scores, so_far, static_cast<double>(uniform.span()[step]));
      result.checks.push_back(compare_scores(name + ".scores." + number, scores,
                                             recorded.file().read<float>(name + ".scores." + number)));
      const double wrong = id == ids[prompt.size() + step] ? 0.0 : 1.0;
      result.checks.push_back({name + ".id." + number, {wrong, wrong}, 0.0});
    }
  }
  return result;
}

}  // namespace daguerre::conformance
