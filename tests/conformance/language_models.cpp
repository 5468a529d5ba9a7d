#include "conformance/language_models.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "daguerre/models/language/causal_lm.hpp"
#include "daguerre/models/language/language_names.hpp"
#include "daguerre/models/vision_encoders/qwen2_5_vision.hpp"
#include "daguerre/ops/rearrange.hpp"

namespace daguerre::conformance {
namespace {

namespace fs = std::filesystem;
using Ids = Tensor<std::int32_t>;

template <class T>
using LmInputs = models::CausalLmInputs<T>;

template <class T>
constexpr double language_bound = std::is_same_v<T, float> ? bounds::text_encoder : bounds::bfloat16_network;

/// Rows where the mask is 0, which the files have as zeros, set to zero.
Tensor<float> without_masked_rows(Tensor<float> x, const Tensor<float>& mask) {
  for (Index row = 0; row < mask.size(); ++row)
    if (mask.data()[row] == 0.0f) std::fill_n(x.data() + row * x.dim(-1), x.dim(-1), 0.0f);
  return x;
}

/// The tokens [begin, end) of each sequence.
Ids tokens_between(const Ids& ids, Index begin, Index end) {
  Ids result({ids.dim(0), end - begin});
  for (Index n = 0; n < ids.dim(0); ++n)
    std::copy_n(ids.data() + n * ids.dim(1) + begin, end - begin, result.data() + n * (end - begin));
  return result;
}

/// The recorded states and logits, from one call, from calls for each state alone, and from a cache that is
/// filled in pieces.
template <class T>
void compare_states(const models::CausalLm<T>& lm, const ops::Context& context, const Recorded& run,
                    Result& result) {
  LmInputs<T> inputs{.input_ids = run.file().read<std::int32_t>("in.input_ids")};
  if (run.has("in.position_ids")) inputs.position_ids = run.file().read<std::int32_t>("in.position_ids");
  Tensor<float> mask;
  if (run.has("in.attention_mask")) mask = inputs.attention_mask = run.tensor("in.attention_mask");
  // Of padding on the left the files have zeros.
  const bool zeroed = !mask.empty() && run.has("in.position_ids");
  const auto check = [&](const std::string& name, const Tensor<float>& actual, const std::string& recorded) {
    result.checks.push_back(
        {name + run.label(),
         test::difference(zeroed ? without_masked_rows(actual, mask) : actual, run.tensor(recorded)),
         language_bound<T>});
  };
  for (const auto& name : run.names_below("out.hidden.")) inputs.hidden_states.push_back(std::stoi(name));
  const auto output = lm(context, inputs);
  check("logits", output.logits, "out.logits");
  for (std::size_t i = 0; i < output.hidden_states.size(); ++i) {
    const auto name = "hidden." + std::to_string(inputs.hidden_states[i]);
    check(name, output.hidden_states[i], "out." + name);
    auto alone = inputs;
    alone.logits = LmInputs<T>::Logits::none;
    alone.hidden_states = {inputs.hidden_states[i] - lm.config().num_hidden_layers - 1};
    check(name + " alone", lm(context, alone).hidden_states.front(), "out." + name);
  }
  if (run.has("mid.block0.0")) {
    inputs.hidden_states = {1};
    check("block0", lm(context, inputs).hidden_states.front(), "mid.block0.0");
  }

  const Index length = inputs.input_ids.dim(1);
  models::KeyValueCache<T> cache(lm.config(), length);
  std::vector<Tensor<float>> pieces;
  for (Index begin = 0; begin < length;) {
    const Index end = std::min(length, begin + (begin % 2 == 0 ? 5 : 1));
    LmInputs<T> part{.input_ids = tokens_between(inputs.input_ids, begin, end), .cache = &cache};
    if (!inputs.position_ids.empty()) part.position_ids = tokens_between(inputs.position_ids, begin, end);
    if (!mask.empty()) {
      part.attention_mask = Tensor<float>({mask.dim(0), end});
      for (Index n = 0; n < mask.dim(0); ++n)
        std::copy_n(mask.data() + n * length, end, part.attention_mask.data() + n * end);
    }
    pieces.push_back(lm(context, part).logits);
    begin = end;
  }
  // A stretching that goes by the length has turned the first keys by another one.
  if (lm.config().rotary.scaling == models::RotaryConfig::Scaling::dynamic) return;
  check("logits in pieces", ops::concat<float>(context, pieces, 1), "out.logits");
}

/// A picture through the vision tower and, in the place of its tokens, through the language model.
template <class T>
void compare_picture(const models::CausalLm<T>& lm, const Config& config, const nn::Loader& loader,
                     const Recorded& run, Result& result) {
  const auto& context = loader.context;
  const models::Qwen25Vision<T> vision(models::Qwen25VisionConfig::from(config), loader.sub("visual"));
  const auto ids = run.file().read<std::int32_t>("in.input_ids"),
             recorded_grids = run.file().read<std::int32_t>("in.image_grid_thw");
  std::vector<models::PatchGrid> grids;
  for (Index i = 0; i < recorded_grids.size(); i += 3)
    grids.push_back({recorded_grids.data()[i], recorded_grids.data()[i + 1], recorded_grids.data()[i + 2]});
  const auto check = [&](const std::string& name, const Tensor<float>& actual) {
    result.checks.push_back(
        {name + run.label(), test::difference(actual, run.tensor("out." + name)), language_bound<T>});
  };
  const auto embeds = vision(context, run.tensor("in.pixel_values"), grids);
  check("image_embeds", embeds);
  LmInputs<T> inputs;
  inputs.inputs_embeds =
      models::with_pictures(context, lm.embed(context, ids), ids, vision.config().image_token_id, embeds);
  inputs.position_ids = models::picture_positions(vision.config(), ids.span(), grids);
  const auto positions = run.file().read<std::int32_t>("mid.position_ids");
  const bool same = positions.size() == inputs.position_ids.size() &&
                    std::equal(positions.span().begin(), positions.span().end(),
                               std::as_const(inputs.position_ids).span().begin());
  result.checks.push_back({"positions" + run.label(), {same ? 0.0 : 1.0, same ? 0.0 : 1.0}, 0.0});
  for (const auto& name : run.names_below("out.hidden.")) inputs.hidden_states.push_back(std::stoi(name));
  const auto output = lm(context, inputs);
  check("logits", output.logits);
  for (std::size_t i = 0; i < output.hidden_states.size(); ++i)
    check("hidden." + std::to_string(inputs.hidden_states[i]), output.hidden_states[i]);
}

/// What is generated from one or several prompts: the most probable token again and again.
template <class T>
class Greedy {
 public:
  Greedy(const models::CausalLm<T>& lm, const ops::Context& context, Ids prompt, Tensor<float> mask)
      : lm_(lm), context_(context), ids_(std::move(prompt)), mask_(std::move(mask)) {}

  /// The prompts with what follows, until all have `length` tokens or an `end`, behind which there is
  /// `padding`.
  Ids run(Index length, bool with_cache, std::int32_t end = -1, std::int32_t padding = 0) {
    models::KeyValueCache<T> cache(lm_.config(), length);
    std::vector<bool> finished(static_cast<std::size_t>(ids_.dim(0)));
    while (ids_.dim(1) < length && std::find(finished.begin(), finished.end(), false) != finished.end()) {
      const auto logits = next(with_cache ? &cache : nullptr);
      std::vector<std::int32_t> chosen;
      for (Index n = 0; n < ids_.dim(0); ++n) {
        const float* const row = logits.data() + n * logits.dim(2);
        const auto best = static_cast<std::int32_t>(std::max_element(row, row + logits.dim(2)) - row);
        chosen.push_back(finished[static_cast<std::size_t>(n)] ? padding : best);
        if (chosen.back() == end) finished[static_cast<std::size_t>(n)] = true;
      }
      append(chosen);
    }
    return ids_;
  }

  /// The largest of: how far the logit of the recorded next token is below the greatest, relative to the
  /// logits' norm.
  double follow(const Ids& recorded, bool with_cache) {
    models::KeyValueCache<T> cache(lm_.config(), recorded.dim(1));
    double worst = 0.0;
    while (ids_.dim(1) < recorded.dim(1)) {
      const auto logits = next(with_cache ? &cache : nullptr);
      std::vector<std::int32_t> chosen;
      for (Index n = 0; n < ids_.dim(0); ++n) {
        const float* const row = logits.data() + n * logits.dim(2);
        chosen.push_back(recorded.data()[n * recorded.dim(1) + ids_.dim(1)]);
        double squares = 0.0;
        for (Index i = 0; i < logits.dim(2); ++i) squares += std::pow(static_cast<double>(row[i]), 2);
        const float gap = *std::max_element(row, row + logits.dim(2)) - row[chosen.back()];
        worst = std::max(worst, static_cast<double>(gap) / std::sqrt(squares));
      }
      append(chosen);
    }
    return worst;
  }

 private:
  /// Logits of the tokens that follow, `[N, 1, V]`.
  Tensor<float> next(models::KeyValueCache<T>* cache) const {
    const Index begin = cache == nullptr ? 0 : cache->length(), length = ids_.dim(1);
    LmInputs<T> inputs{.input_ids = tokens_between(ids_, begin, length),
                       .cache = cache,
                       .logits = LmInputs<T>::Logits::last};
    if (!mask_.empty()) {
      inputs.attention_mask = mask_;
      // Counted from the first token that is none of the padding.
      Ids positions({ids_.dim(0), length});
      for (Index n = 0; n < ids_.dim(0); ++n) {
        std::int32_t seen = 0;
        for (Index i = n * length; i < (n + 1) * length; ++i)
          positions.data()[i] = mask_.data()[i] == 0.0f ? 1 : seen++;
      }
      inputs.position_ids = tokens_between(positions, begin, length);
    }
    return lm_(context_, inputs).logits;
  }
  void append(const std::vector<std::int32_t>& chosen) {
    const Index batch = ids_.dim(0), length = ids_.dim(1);
    Ids longer({batch, length + 1});
    Tensor<float> mask({batch, length + 1});
    for (Index n = 0; n < batch; ++n) {
      const Index to = n * (length + 1);
      std::copy_n(ids_.data() + n * length, length, longer.data() + to);
      longer.data()[to + length] = chosen[static_cast<std::size_t>(n)];
      if (!mask_.empty()) std::copy_n(mask_.data() + n * length, length, mask.data() + to);
      mask.data()[to + length] = 1.0f;
    }
    ids_ = longer;
    if (!mask_.empty()) mask_ = mask;
  }

  const models::CausalLm<T>& lm_;
  const ops::Context& context_;
  Ids ids_;
  Tensor<float> mask_;
};

/// Greedy texts, token by token; in bfloat16, where near ties may fall the other way, the recorded ones have
/// to be about the most probable.
template <class T>
void compare_generated(const models::CausalLm<T>& lm, const ops::Context& context, const Recorded& run,
                       Result& result) {
  const auto prompt = run.file().read<std::int32_t>("in.input_ids");
  const auto prompts = run.file().read<std::int32_t>("in.batch.input_ids");
  const auto mask = run.tensor("in.batch.attention_mask");
  const auto end = run.file().read<std::int32_t>("in.eos_token_id").data()[0];
  constexpr std::int32_t padding = 1;
  const auto recorded = [&](const char* name) { return run.file().read<std::int32_t>(name); };
  const auto check = [&](const std::string& name, double off) {
    result.checks.push_back({name + run.label(), {off, off}, std::is_same_v<T, float> ? 0.0 : 1e-2});
  };
  for (const bool cached : {false, true}) {
    const std::string how = cached ? " with cache" : "";
    const auto compare = [&](const std::string& name, const Ids& first, const Tensor<float>& seen,
                             const Ids& expected, Index most, std::int32_t stop) {
      Greedy<T> greedy(lm, context, first, seen);
      if (std::is_same_v<T, float>) {
        const auto ids = greedy.run(most, cached, stop, padding);
        const bool same = ids.shape() == expected.shape() &&
                          std::equal(ids.span().begin(), ids.span().end(), expected.span().begin());
        check(name + how, same ? 0.0 : 1.0);
      } else if (name != "batch") {  // there rows that have ended go on with padding
        check(name + how, greedy.follow(expected, cached));
      }
    };
    const Index most = recorded("out.ids").dim(1);
    compare("ids", prompt, {}, recorded("out.ids"), most, -1);
    compare("eos", prompt, {}, recorded("out.eos.ids"), most, end);
    compare("batch", prompts, mask, recorded("out.batch.ids"), most, end);
  }
}

}  // namespace

template <class T>
bool run_language_model(const fs::path& folder, const Config& config, const ops::Context& context,
                        Result& result) {
  if (!models::LanguageConfig::knows(config.optional_string("model_type").value_or(""))) return false;
  const auto loader = loader_for(folder / "weights.safetensors", context);
  const nn::Loader named{models::with_language_names(loader.scope.weights()), loader.context};
  const models::CausalLm<T> lm(models::LanguageConfig::from(config), named);
  for (const auto& run : recorded_runs(folder)) {
    if (run.has("in.pixel_values"))
      compare_picture(lm, config, named, run, result);
    else if (run.has("out.ids"))
      compare_generated(lm, context, run, result);
    else if (run.has("out.logits"))
      compare_states(lm, context, run, result);
    else
      throw ConfigError("conformance", "what " + folder.string() + " has recorded is not supported");
  }
  return true;
}

template bool run_language_model<float>(const fs::path&, const Config&, const ops::Context&, Result&);
template bool run_language_model<bfloat16>(const fs::path&, const Config&, const ops::Context&, Result&);

}  // namespace daguerre::conformance
