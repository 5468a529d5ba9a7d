#include <algorithm>
#include <array>
#include <span>

#include "core/text.hpp"
#include "daguerre/models/text_encoders/clip_text.hpp"
#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/profile.hpp"
#include "daguerre/text/prompt_windows.hpp"
#include "pipeline/components/components.hpp"
#include "pipeline/model_fit.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

class ClipPrompts final : public PromptReader {
 public:
  ClipPrompts(text::ClipTokenizer tokenizer, TokenRows rows)
      : tokenizer_(std::move(tokenizer)), rows_(std::move(rows)) {}

  const text::ClipTokenizer& tokenizer() const noexcept { return tokenizer_; }
  std::string lost(std::string_view prompt, Index) const override { return tokenizer_.window(prompt).lost; }
  void check(std::string_view prompt, const char* what) const override {
    rows_.check(tokenizer_, prompt, what);
  }
  std::optional<text::WindowTokenizer> window_tokenizer(Index) const override {
    return text::window_tokenizer(tokenizer_);
  }

 private:
  text::ClipTokenizer tokenizer_;
  TokenRows rows_;
};

template <class T>
class ClipTextEncoder final : public TextEncoder {
 public:
  ClipTextEncoder(TextEncoderInfo info, std::string name, models::ClipText<T> network,
                  std::shared_ptr<const ClipPrompts> prompts)
      : info_(std::move(info)),
        name_(std::move(name)),
        network_(std::move(network)),
        prompts_(std::move(prompts)) {}

  const TextEncoderInfo& info() const noexcept override { return info_; }

  Output encode(const ops::Context& context, std::string_view prompt, const Options& options) const override {
    auto window = prompts_->tokenizer().window(prompt);
    return encode_window(context, {.ids = std::move(window.ids), .padding = window.padding}, options);
  }

  Output encode_window(const ops::Context& context, const Window& window,
                       const Options& options) const override {
    const ops::Profile::Span span(context, ops::Stage::text_encoder);
    const auto ids = Tensor<std::int32_t>::copy_of({1, static_cast<Index>(window.ids.size())}, window.ids);
    auto mask = window.mask;
    if (mask.empty() && network_.config().use_attention_mask) {
      mask = Tensor<float>::full(ids.shape(), 1.0f);
      std::fill(mask.span().end() - window.padding, mask.span().end(), 0.0f);
    }
    const typename models::ClipText<T>::Inserted inserted{window.positions, window.vectors};
    auto output = network_(context, ids, mask.empty() ? nullptr : &mask, &inserted);
    Output result{
        .states = {}, .pooled = output.text_embeds.empty() ? output.pooled : output.text_embeds, .mask = {}};
    if (options.skip == 0 && options.final_norm) {
      result.states = output.last_hidden_state;
    } else {
      const auto count = static_cast<int>(output.hidden_states.size());
      if (options.skip < 0 || options.skip >= count)
        throw ArgumentError(pipeline_name, "clip_skip leaves out " + std::to_string(options.skip) +
                                               " layers, the text encoder has " + std::to_string(count - 1) +
                                               " layers");
      const auto& state = output.hidden_states[static_cast<std::size_t>(count - 1 - options.skip)];
      result.states = options.final_norm ? network_.final_layer_norm(context, state) : state;
    }
    ops::check_finite(result.states, name_);
    return result;
  }

  std::string lost(std::string_view prompt, Index max_sequence_length) const override {
    return prompts_->lost(prompt, max_sequence_length);
  }
  void check(std::string_view prompt, const char* what) const override { prompts_->check(prompt, what); }
  std::optional<text::WindowTokenizer> window_tokenizer(Index max_sequence_length) const override {
    return prompts_->window_tokenizer(max_sequence_length);
  }

 private:
  TextEncoderInfo info_;
  std::string name_;
  models::ClipText<T> network_;
  std::shared_ptr<const ClipPrompts> prompts_;
};

}  // namespace

Opened<TextEncoder> open_clip_text_encoder(const ComponentSource& network, const ComponentSource& tokenizer,
                                           const LoadContext& context) {
  check_tokenizer_class(tokenizer, "CLIPTokenizer");
  const auto config = models::ClipTextConfig::from(network.config());
  const auto words = tokenizer.tokenizer<text::ClipTokenizer>(context.dialect);
  check_window(words.length(), words.source(), config.max_position_embeddings, network.config_path());
  const TokenRows rows({words.vocabulary_size(), words.source(), config.vocab_size, network.config_path()},
                       std::array<TokenRows::Special, 3>{
                           {{"start", words.start_id()}, {"end", words.end_id()}, {"pad", words.pad_id()}}});
  if (const auto warning = rows.warning()) context.tell(LogLevel::warning, *warning);
  const TextEncoderInfo info{.width = config.hidden_size,
                             .width_key = "hidden_size in " + network.config_path(),
                             .most_tokens = words.length() - 2,
                             .pooled_width = network.class_name == "CLIPTextModelWithProjection"
                                                 ? config.projection_dim
                                                 : config.hidden_size};
  const auto prompts = std::make_shared<const ClipPrompts>(words, rows);
  return {info,
          [=](const LoadContext& now) {
            return with_precision(
                now, Role::other, [&]<class T>(const LoadContext& own) -> std::shared_ptr<const TextEncoder> {
                  return std::make_shared<const ClipTextEncoder<T>>(
                      info, network.name, load_component<models::ClipText<T>>(network, config, own), prompts);
                });
          },
          prompts};
}

}  // namespace daguerre
