#include "pipeline/prompt_encoder.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "daguerre/ops/rearrange.hpp"
#include "pipeline/name.hpp"
#include "pipeline/number.hpp"

namespace daguerre {
namespace {

/// The mean of all numbers of some tensors, each of which counts so many times.
double common_mean(const std::vector<Tensor<float>>& tensors, const std::vector<int>& times) {
  double sum = 0.0, count = 0.0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    double own = 0.0;
    for (const float value : tensors[i].span()) own += static_cast<double>(value);
    sum += own * times[i];
    count += static_cast<double>(tensors[i].size()) * times[i];
  }
  return sum / count;
}

/// `states[1, L, D]` times a weight for each token.
void multiply_tokens(Tensor<float>& states, std::span<const double> weights) {
  const auto width = static_cast<std::size_t>(states.dim(-1));
  float* row = states.data();
  for (const double weight : weights) {
    const auto factor = static_cast<float>(weight);
    for (std::size_t i = 0; i < width; ++i) row[i] *= factor;
    row += width;
  }
}

/// empty + weight * (state - empty), token by token; `empty[1, l, D]` stands for each window.
void weight_from_empty(Tensor<float>& states, const Tensor<float>& empty, std::span<const double> weights) {
  const auto width = static_cast<std::size_t>(states.dim(-1));
  const auto length = static_cast<std::size_t>(empty.dim(1));
  float* const rows = states.data();
  for (std::size_t token = 0; token < weights.size(); ++token) {
    if (weights[token] == 1.0) continue;
    const auto weight = static_cast<float>(weights[token]);
    float* const row = rows + token * width;
    const float* const base = empty.data() + token % length * width;
    for (std::size_t i = 0; i < width; ++i) row[i] = (row[i] - base[i]) * weight + base[i];
  }
}

Tensor<float> one_behind_another(const ops::Context& context, const std::vector<Tensor<float>>& parts) {
  return parts.size() == 1 ? parts.front() : ops::concat<float>(context, parts, 1);
}

std::vector<double> weights_of(const std::vector<text::TokenWindow>& windows) {
  std::vector<double> all;
  for (const auto& window : windows) all.insert(all.end(), window.weights.begin(), window.weights.end());
  return all;
}

bool has_weights(const std::vector<text::TokenWindow>& windows) {
  const auto weights = weights_of(windows);
  return std::any_of(weights.begin(), weights.end(), [](double weight) { return weight != 1.0; });
}

void check_finite_weights(const std::vector<text::TokenWindow>& windows) {
  for (const double weight : weights_of(windows))
    if (!std::isfinite(weight) || !std::isfinite(static_cast<float>(weight)))
      throw ArgumentError("prompt", "a weight is " + number(weight) + ", expected a finite number");
}

/// A weighted sum; `weights` to a sum of 1 where `normalize`.
Tensor<float> mixed(const std::vector<Tensor<float>>& parts, std::vector<double> weights, bool normalize) {
  double sum = 0.0;
  for (const double weight : weights) sum += weight;
  if (normalize)
    for (double& weight : weights) weight /= sum;
  auto result = Tensor<float>::zeros(parts.front().shape());
  float* const out = result.data();
  for (std::size_t n = 0; n < parts.size(); ++n) {
    const auto weight = static_cast<float>(weights[n]);
    const float* const part = parts[n].data();
    for (Index i = 0; i < result.size(); ++i) out[i] += part[i] * weight;
  }
  return result;
}

void check_swaps(const std::vector<text::CompelFragment>& fragments) {
  for (const auto& fragment : fragments)
    if (fragment.swap)
      throw ArgumentError("prompt", ".swap() needs control of the cross-attention, which is not offered");
}

/// Refuses weights of .and() and .blend() of which nothing can be mixed.
void check_mixture(const text::CompelPart& part) {
  const auto check = [](double weight, const char* what) {
    if (!std::isfinite(static_cast<float>(weight)))
      throw ArgumentError("prompt", std::string("a weight of ") + what + " is " + number(weight) +
                                        ", expected a finite number");
  };
  check(part.weight, ".and()");
  if (!part.blends) return;
  double sum = 0.0;
  for (const double weight : part.weights) {
    check(weight, ".blend()");
    sum += weight;
  }
  if (!part.normalize) return;
  for (const double weight : part.weights)
    if (!std::isfinite(static_cast<float>(weight / sum)))
      throw ArgumentError("prompt", "the weights of .blend() have the sum " + number(sum) +
                                        ", by which they cannot be divided");
}

/// The words of a prompt of compel's language, for an encoder that has no windows.
std::vector<text::WeightedText> compel_texts(const std::string& prompt) {
  const auto parsed = text::parse_compel(prompt);
  if (parsed.parts.size() > 1 || (parsed.parts.size() == 1 && parsed.parts[0].blends))
    throw ArgumentError("prompt", ".and() and .blend() are for CLIP's encoders, T5 takes neither");
  std::vector<text::WeightedText> result;
  for (const auto& part : parsed.parts) {
    check_swaps(part.prompts.front());
    for (const auto& fragment : part.prompts.front())
      result.push_back({(result.empty() ? "" : " ") + fragment.text, fragment.weight});
  }
  return result;
}

}  // namespace

TextEncoder::Output TextEncoder::encode_window(const ops::Context&, const Window&, const Options&) const {
  throw ArgumentError(pipeline_name, "this text encoder reads prompts only, no windows of tokens");
}

PromptEncoder::PromptEncoder(const TextEncoder& encoder, std::string part, const Prompting& prompting,
                             bool several, const CompelOptions& compel)
    : encoder_(encoder),
      part_(std::move(part)),
      prompting_(prompting),
      compel_(compel),
      has_windows_(!encoder.info().takes_length) {
  if (!has_windows_) return;
  for (const auto& embedding : prompting.embeddings) {
    if (embedding == nullptr) throw ArgumentError(pipeline_name, "an embedding is nullptr");
    const auto* vectors = embedding->vectors_for(part_, encoder.info().width, several);
    if (vectors == nullptr) continue;
    names_.push_back({embedding->name(), vectors->dim(0)});
    vectors_.push_back(*vectors);
  }
}

text::WindowTokenizer PromptEncoder::tokenizer(Index max_sequence_length) const {
  auto tokenizer = encoder_.window_tokenizer(max_sequence_length);
  if (!tokenizer)
    throw ArgumentError(pipeline_name, part_ + " reads plain prompts only, without textual inversions");
  return *std::move(tokenizer);
}

std::vector<text::WeightedText> PromptEncoder::weighted_texts(const std::string& prompt) const {
  switch (prompting_.syntax) {
    case PromptSyntax::plain:
      break;
    case PromptSyntax::comfyui:
      return text::parse_comfyui_weights(prompt);
    case PromptSyntax::compel:
      return compel_texts(prompt);
    case PromptSyntax::a1111: {
      if (prompting_.emphasis == Emphasis::none) break;
      auto parts = text::parse_a1111_attention(prompt);
      if (!has_windows_) std::erase_if(parts, [](const auto& part) { return part.is_break(); });
      if (!has_windows_ && prompting_.emphasis == Emphasis::ignore)
        for (auto& part : parts) part.weight = 1.0;
      return parts;
    }
  }
  return {{prompt, 1.0}};
}

std::vector<text::TokenWindow> PromptEncoder::windows(const std::string& prompt, Index max_sequence_length,
                                                      std::vector<std::string>* unknown) const {
  const auto words = tokenizer(max_sequence_length);
  std::vector<text::TokenWindow> result;
  if (!has_windows_) {
    result = text::comfyui_windows(weighted_texts(prompt), words, {}, nullptr);
    result.resize(1);  // the rest is lost
  } else if (prompting_.syntax == PromptSyntax::plain) {
    result = {text::diffusers_window(prompt, words, names_)};
  } else if (prompting_.syntax == PromptSyntax::a1111) {
    result = text::a1111_windows(weighted_texts(prompt), words, prompting_.comma_backtrack, names_);
    // What stands behind an end of text in the prompt itself is padding to the encoder.
    for (auto& window : result)
      if (words.pad != words.end) {
        const auto end = std::find(window.ids.begin(), window.ids.end(), words.end);
        if (end != window.ids.end()) std::fill(end + 1, window.ids.end(), words.pad);
      }
  } else if (prompting_.syntax == PromptSyntax::comfyui) {
    result = text::comfyui_windows(weighted_texts(prompt), words, names_, unknown);
  } else {
    const auto parsed = text::parse_compel(prompt);
    for (const auto& part : parsed.parts) {
      check_mixture(part);
      for (const auto& fragments : part.prompts) {
        check_swaps(fragments);
        auto some =
            text::compel_windows(fragments, words, compel_.truncates, compel_.long_text, names_).windows;
        result.insert(result.end(), some.begin(), some.end());
      }
    }
  }
  check_finite_weights(result);
  return result;
}

Index PromptEncoder::window_count(const std::string& prompt, Index max_sequence_length) const {
  if (!has_windows_) return 0;
  if (prompting_.syntax != PromptSyntax::compel)
    return static_cast<Index>(windows(prompt, max_sequence_length).size());
  const auto words = tokenizer(max_sequence_length);
  Index count = 0;
  for (const auto& part : text::parse_compel(prompt).parts) {
    std::size_t longest = 0;
    for (const auto& fragments : part.prompts)
      longest = std::max(longest,
                         text::compel_windows(fragments, words, compel_.truncates, compel_.long_text, names_)
                             .windows.size());
    count += static_cast<Index>(longest);
  }
  return std::max<Index>(1, count);
}

void PromptEncoder::check(const std::string& prompt, const char* what, Index max_sequence_length,
                          std::vector<std::string>& warnings) const {
  std::vector<std::string> unknown;
  (void)windows(prompt, max_sequence_length, &unknown);
  for (const auto& name : unknown)
    warnings.push_back("[pipeline] the " + std::string(what) + " names the embedding \"" + name +
                       "\", which was not given; it is left out");
  const auto lost = [&](const std::string& words) {
    warnings.push_back("[pipeline] the " + std::string(what) + " is longer than " +
                       std::to_string(tokenizer(max_sequence_length).room()) +
                       " tokens; these words are lost: " + words);
  };
  if (has_windows_ && prompting_.syntax == PromptSyntax::plain) {
    std::string words;
    (void)text::diffusers_window(prompt, tokenizer(max_sequence_length), names_, &words);
    if (!words.empty()) lost(words);
    encoder_.check(text::diffusers_prompt(prompt, names_), what);
    return;
  }
  if (has_windows_ && prompting_.syntax == PromptSyntax::compel) {
    for (const auto& part : text::parse_compel(prompt).parts)
      for (const auto& fragments : part.prompts)
        for (const auto& fragment : fragments) encoder_.check(fragment.text, what);
    return;
  }
  std::string plain;
  for (const auto& part : weighted_texts(prompt)) {
    encoder_.check(part.text, what);
    plain += part.text;
  }
  if (!has_windows_)
    if (const auto words = encoder_.lost(plain, max_sequence_length); !words.empty()) lost(words);
}

TextEncoder::Window PromptEncoder::window_for(const text::TokenWindow& window) const {
  TextEncoder::Window result{.ids = window.ids, .padding = window.padding};
  if (window.vectors.empty()) return result;
  std::vector<Tensor<float>> rows;
  for (const auto& inserted : window.vectors) {
    result.positions.push_back(inserted.position);
    rows.push_back(vectors_[inserted.embedding].slice(inserted.row, inserted.row + 1));
  }
  result.vectors = concat_leading<float>(rows);
  return result;
}

PromptEncoder::Output PromptEncoder::encode_windows(const ops::Context& context,
                                                    const std::vector<text::TokenWindow>& windows,
                                                    const Options& options, const Tensor<float>& mask) const {
  Output result;
  std::vector<Tensor<float>> states, masks;
  for (const auto& window : windows) {
    auto given = window_for(window);
    if (!mask.empty()) {
      const auto number = static_cast<Index>(states.size());
      given.mask = mask.slice(number, number + 1);
    }
    auto output = encoder_.encode_window(context, given, options);
    if (states.empty()) result.pooled = output.pooled;
    states.push_back(std::move(output.states));
    if (!output.mask.empty()) masks.push_back(std::move(output.mask));
  }
  result.states = one_behind_another(context, states);
  if (!masks.empty()) result.mask = one_behind_another(context, masks);
  return result;
}

void PromptEncoder::fill_up(const ops::Context& context, const Options& options, Index least_windows,
                            Output& output) const {
  const auto words = tokenizer(options.max_sequence_length);
  const Index missing = least_windows - output.states.dim(1) / words.length;
  if (!has_windows_ || missing <= 0) return;
  const auto empty = encode_windows(context, {text::empty_window(words)}, options).states;
  std::vector<Tensor<float>> parts{output.states};
  parts.insert(parts.end(), static_cast<std::size_t>(missing), empty);
  output.states = one_behind_another(context, parts);
}

std::vector<PromptEncoder::Output> PromptEncoder::encode_a1111(const ops::Context& context,
                                                               std::span<const std::string> prompts,
                                                               const Options& options,
                                                               Index least_windows) const {
  // Each prompt once, however often it comes; the mean counts it as often.
  std::vector<std::string> distinct;
  std::vector<int> times;
  std::vector<std::size_t> place;
  for (const auto& prompt : prompts) {
    const auto found = std::find(distinct.begin(), distinct.end(), prompt);
    place.push_back(static_cast<std::size_t>(found - distinct.begin()));
    if (found == distinct.end()) {
      distinct.push_back(prompt);
      times.push_back(0);
    }
    ++times[place.back()];
  }
  std::vector<std::vector<text::TokenWindow>> all;
  auto count = static_cast<std::size_t>(least_windows);
  for (const auto& prompt : distinct) {
    all.push_back(windows(prompt, options.max_sequence_length));
    count = std::max(count, all.back().size());
  }
  const auto empty = text::empty_window(tokenizer(options.max_sequence_length));
  std::vector<std::vector<Tensor<float>>> states(distinct.size());  // by prompt and window
  std::vector<Output> outputs(distinct.size());
  for (std::size_t number = 0; number < count; ++number) {
    std::vector<Tensor<float>> now;
    std::vector<std::vector<double>> weights;
    for (std::size_t i = 0; i < distinct.size(); ++i) {
      const auto& window = number < all[i].size() ? all[i][number] : empty;
      auto output = encode_windows(context, {window}, options);
      if (number == 0) outputs[i].pooled = output.pooled;
      now.push_back(std::move(output.states));
      weights.push_back(window.weights);
    }
    const bool multiplies =
        prompting_.emphasis == Emphasis::original || prompting_.emphasis == Emphasis::no_norm;
    const bool weighted = std::any_of(weights.begin(), weights.end(), [](const auto& of_window) {
      return std::any_of(of_window.begin(), of_window.end(), [](double weight) { return weight != 1.0; });
    });
    if (multiplies && weighted) {
      const double before = common_mean(now, times);
      for (std::size_t i = 0; i < now.size(); ++i) multiply_tokens(now[i], weights[i]);
      if (prompting_.emphasis == Emphasis::original) {
        const double factor = before / common_mean(now, times);
        if (!std::isfinite(factor))
          throw ArgumentError(
              "prompt", "its weights leave nothing whose mean could be kept; see the emphasis \"No norm\"");
        for (auto& tensor : now)
          for (float& value : tensor.span()) value *= static_cast<float>(factor);
      }
    }
    for (std::size_t i = 0; i < now.size(); ++i) states[i].push_back(std::move(now[i]));
  }
  for (std::size_t i = 0; i < distinct.size(); ++i)
    outputs[i].states = one_behind_another(context, states[i]);
  std::vector<Output> result;
  for (const auto i : place) result.push_back(outputs[i]);
  return result;
}

PromptEncoder::Output PromptEncoder::encode_towards_empty(const ops::Context& context,
                                                          const std::string& prompt, const Options& options,
                                                          Index least_windows) const {
  const auto parts = windows(prompt, options.max_sequence_length);
  auto result = encode_windows(context, parts, options);
  if (has_weights(parts)) {
    const auto empty =
        encode_windows(context, {text::empty_window(tokenizer(options.max_sequence_length))}, options);
    weight_from_empty(result.states, empty.states, weights_of(parts));
  }
  fill_up(context, options, least_windows, result);
  return result;
}

Tensor<float> PromptEncoder::compel_states(const ops::Context& context,
                                           const std::vector<text::CompelFragment>& prompt,
                                           const Options& options) const {
  const auto words = tokenizer(options.max_sequence_length);
  const auto read = [&](const std::vector<text::CompelFragment>& fragments) {
    return text::compel_windows(fragments, words, compel_.truncates, compel_.long_text, names_);
  };
  Tensor<float> empty;
  const auto weighted = [&](const std::vector<text::TokenWindow>& windows, const Tensor<float>& mask) {
    auto states = encode_windows(context, windows, options, mask).states;
    if (!has_weights(windows)) return states;
    if (empty.empty()) empty = encode_windows(context, {text::empty_window(words)}, options).states;
    weight_from_empty(states, empty, weights_of(windows));
    return states;
  };
  const auto whole = read(prompt);
  check_finite_weights(whole.windows);
  std::vector<Tensor<float>> parts{weighted(whole.windows, {})};
  std::vector<double> weights{1.0};
  const auto count = static_cast<Index>(whole.windows.size());
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    const auto [begin, end] = whole.places[i];
    if (!(prompt[i].weight < 1.0) || begin == end) continue;
    // What counts less is mixed with what there is without it.
    constexpr double least = 1e-5;
    weights.push_back(std::tan((1.0 - std::max(least, prompt[i].weight)) * std::numbers::pi / 2));
    if (compel_.removes) {
      auto rest = prompt;
      rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
      if (rest.empty()) rest.push_back({});
      const auto without = read(rest);
      if (without.windows.size() != whole.windows.size())
        throw ArgumentError("prompt", "it has another number of windows without " + prompt[i].text);
      parts.push_back(weighted(without.windows, {}));
      continue;
    }
    auto mask = Tensor<float>::full({count, words.length}, 1.0f);
    std::fill(mask.data() + begin, mask.data() + end, 0.0f);
    if (!compel_.truncates)  // the ends of windows stay
      for (Index window = 0; window < count; ++window)
        for (const Index place : {Index{0}, words.length - 1})
          mask.data()[window * words.length + place] = 1.0f;
    parts.push_back(weighted(whole.windows, mask));
  }
  return parts.size() == 1 ? parts.front() : mixed(parts, weights, true);
}

PromptEncoder::Output PromptEncoder::encode_compel(const ops::Context& context, const std::string& prompt,
                                                   const Options& options, Index least_windows) const {
  (void)windows(prompt, options.max_sequence_length);  // refuses what is not offered
  Output result;
  const auto parsed = text::parse_compel(prompt);
  const auto empty_states = [&] { return compel_states(context, {{}}, options); };
  std::vector<Tensor<float>> joined;
  for (const auto& part : parsed.parts) {
    std::vector<Tensor<float>> states;
    Index longest = 0;
    for (const auto& fragments : part.prompts) {
      states.push_back(compel_states(context, fragments, options));
      longest = std::max(longest, states.back().dim(1));
    }
    const auto filled = [&](Tensor<float> one, Index length) {
      while (one.dim(1) < length) one = ops::concat<float>(context, std::array{one, empty_states()}, 1);
      return one;
    };
    auto own = states.front();
    if (part.blends) {
      for (auto& one : states) one = filled(one, longest);
      own = mixed(states, part.weights, part.normalize);
    }
    if (part.weight != 1.0) {
      const std::vector<double> weights(static_cast<std::size_t>(own.dim(1)), part.weight);
      weight_from_empty(own, empty_states(), weights);
    }
    joined.push_back(std::move(own));
  }
  if (joined.empty()) joined.push_back(empty_states());
  result.states = one_behind_another(context, joined);
  // The vector is that of the text as it is, with its syntax.
  const auto words = tokenizer(options.max_sequence_length);
  result.pooled = encode_windows(context, {text::diffusers_window(prompt, words, names_)}, options).pooled;
  fill_up(context, options, least_windows, result);
  return result;
}

std::vector<PromptEncoder::Output> PromptEncoder::encode(const ops::Context& context,
                                                         std::span<const std::string> prompts,
                                                         const Options& options, Index least_windows) const {
  if (has_windows_ && prompting_.syntax == PromptSyntax::a1111)
    return encode_a1111(context, prompts, options, least_windows);
  std::vector<Output> result;
  for (const auto& prompt : prompts)
    result.push_back(has_windows_ && prompting_.syntax == PromptSyntax::compel
                         ? encode_compel(context, prompt, options, least_windows)
                         : encode_towards_empty(context, prompt, options, least_windows));
  return result;
}

ReadingTextEncoder::ReadingTextEncoder(std::shared_ptr<const TextEncoder> encoder, std::string part,
                                       const Prompting& prompting, bool several,
                                       std::vector<std::string> prompts, int further_skip)
    : encoder_(std::move(encoder)),
      reader_(*encoder_, std::move(part), prompting, several),
      prompts_(std::move(prompts)),
      further_skip_(further_skip) {}

Index ReadingTextEncoder::window_count() const {
  Index most = 0;
  for (const auto& prompt : prompts_) most = std::max(most, reader_.window_count(prompt));
  return most;
}

TextEncoder::Output ReadingTextEncoder::encode(const ops::Context& context, std::string_view prompt,
                                               const Options& given) const {
  auto options = given;
  if (!info().takes_length) options.skip += further_skip_;
  const auto found = std::find(prompts_.begin(), prompts_.end(), prompt);
  if (found == prompts_.end())
    return reader_.encode(context, std::array{std::string(prompt)}, options, least_windows_).front();
  const std::lock_guard lock(mutex_);
  const bool same = made_with_.skip == options.skip && made_with_.final_norm == options.final_norm &&
                    made_with_.max_sequence_length == options.max_sequence_length &&
                    made_with_.masks_padding == options.masks_padding;
  if (outputs_.empty() || !same) {
    outputs_ = reader_.encode(context, prompts_, options, least_windows_);
    made_with_ = options;
  }
  return outputs_[static_cast<std::size_t>(found - prompts_.begin())];
}

}  // namespace daguerre
