#include "conformance/case.hpp"

#include <algorithm>
#include <limits>

#include "daguerre/weights/key_map.hpp"
#include "ops/engines/onednn/int8_weights.hpp"

namespace daguerre::conformance {
namespace fs = std::filesystem;

double bounds::int8_network() noexcept {
  return 6e-2 * 255.0 / static_cast<double>(ops::int8_activation_levels());
}

ops::Context Options::context() const {
  ops::Context result;
  result.engine = ops::make_engine(engine);
  if (precision == Precision::int8) result.engine = ops::make_int8_engine(result.engine);
  result.threads = threads;
  return result;
}

bool Result::passes() const {
  return !unsupported && !checks.empty() &&
         std::all_of(checks.begin(), checks.end(), [](const Check& check) { return check.passes(); });
}

const Check& Result::worst() const {
  const auto strain = [](const Check& check) {
    if (check.bound > 0.0) return check.difference.rel_l2 / check.bound;
    return check.passes() ? 0.0 : std::numeric_limits<double>::infinity();
  };
  return *std::max_element(checks.begin(), checks.end(),
                           [&](const Check& a, const Check& b) { return strain(a) < strain(b); });
}

Recorded::Recorded(const fs::path& file) : file_(weights::SafetensorsFile::open(file)) {
  const std::string stem = file.stem().string();
  if (stem.starts_with("io_")) label_ = ":" + stem.substr(3);
}

std::vector<std::string> Recorded::names_below(const std::string& prefix) const {
  std::vector<std::string> result;
  for (const auto& info : file_.tensors())
    if (info.name.starts_with(prefix)) result.push_back(info.name.substr(prefix.size()));
  std::sort(result.begin(), result.end());
  return result;
}

std::vector<Recorded> recorded_runs(const fs::path& case_folder) {
  std::vector<Recorded> result;
  for (const auto& file : test::golden_runs(case_folder)) result.emplace_back(file);
  return result;
}

nn::Loader loader_for(const fs::path& weights, const ops::Context& context) {
  return {weights::Scope(weights::with_diffusers_names(weights::StateDict::load(weights))), context};
}

namespace {

/// "area/case" from the last two parts of the path.
std::string case_name(const fs::path& folder) {
  const auto whole = fs::absolute(folder).lexically_normal();
  return (whole.parent_path().filename() / whole.filename()).string();
}

/// The bounds of networks are stated for bfloat16; 8 bits have one of their own.
Result with_bounds(Result result, const Options& options) {
  if (options.precision == Precision::int8)
    for (auto& check : result.checks)
      if (check.bound == bounds::bfloat16_network) check.bound = bounds::int8_network();
  return result;
}

Result run_case(const fs::path& folder, const Options& options) {
  const auto config = Config::load(folder / "config.json");
  if (auto result = run_random(folder, config)) return *result;
  if (auto result = run_token_sampling(folder, config, options)) return *result;
  if (auto result = run_sampler(folder, config)) return *result;
  if (auto result = run_clip_model(folder, config, options)) return with_bounds(*result, options);
  if (auto result = run_inception_model(folder, config, options)) return *result;
  if (auto result = run_lpips_model(folder, config, options)) return with_bounds(*result, options);
  if (auto result = run_metric(folder, config, options)) return *result;
  if (auto result = run_image_processor(folder, config)) return *result;
  if (auto result = run_block(folder, config, options)) return with_bounds(*result, options);
  if (auto result = run_motion_model(folder, config, options)) return with_bounds(*result, options);
  if (auto result = run_model(folder, config, options)) return with_bounds(*result, options);
  if (auto result = run_film_unet(folder, config, options)) return with_bounds(*result, options);
  Result result;
  result.unsupported = "class " + (config.class_name().empty() ? "unnamed" : config.class_name());
  return result;
}

/// Runs one case; what it throws becomes its result, so that one bad case does not end the walk. A
/// configuration that the library refuses is not supported; anything else is a failure.
template <class Run>
Result guarded(const std::string& name, const Run& run) {
  Result result;
  try {
    result = run();
  } catch (const ConfigError& error) {
    result.unsupported = error.what();
  } catch (const std::exception& error) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    result.checks.push_back({std::string("exception: ") + error.what(), {infinity, infinity}, 0.0});
  }
  result.name = name;
  return result;
}

}  // namespace

std::vector<Result> run_below(const fs::path& folder, const Options& options) {
  if ((fs::exists(folder / "model_index.json") || fs::exists(folder / "base.json")) &&
      fs::exists(folder / "runs"))
    return run_pipeline(folder, options);
  if (is_language_tokenizer_case(folder))
    return {guarded(case_name(folder), [&] { return run_language_tokenizer(folder); })};
  if (is_prompt_case(folder)) {
    std::vector<Result> results;
    for (const auto& [label, run] : prompt_runs(folder, options))
      results.push_back(guarded(case_name(folder) + label, run));
    return results;
  }
  if (fs::exists(folder / "cases.json"))
    return {guarded(case_name(folder), [&] {
      auto result = run_chat_templates(folder);
      return result ? *result : run_tokenizer(folder);
    })};
  if (fs::exists(folder / "checkpoint.safetensors") && !test::golden_runs(folder).empty())
    return {
        guarded(case_name(folder), [&] { return with_bounds(run_single_file(folder, options), options); })};
  auto runs = gguf_runs(folder, options);
  if (runs.empty()) runs = lora_runs(folder, options);
  if (!runs.empty()) {
    std::vector<Result> results;
    for (const auto& [label, run] : runs)
      results.push_back(with_bounds(guarded(case_name(folder) + label, run), options));
    return results;
  }
  if (fs::exists(folder / "config.json") && !test::golden_runs(folder).empty())
    return {guarded(case_name(folder), [&] { return run_case(folder, options); })};
  if (fs::exists(folder / "case.json") && fs::exists(folder / "io.safetensors")) {
    Result result = guarded(case_name(folder), [&] { return run_pictures(folder).value_or(Result()); });
    if (!result.checks.empty()) return {std::move(result)};
  }

  std::vector<fs::path> children;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_directory()) children.push_back(entry.path());
  std::sort(children.begin(), children.end());
  std::vector<Result> results;
  for (const auto& child : children)
    for (auto& result : run_below(child, options)) results.push_back(std::move(result));
  return results;
}

}  // namespace daguerre::conformance
