#include <algorithm>
#include <array>

#include "daguerre/models/text_encoders/t5_encoder.hpp"
#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/profile.hpp"
#include "daguerre/text/prompt_windows.hpp"
#include "daguerre/text/t5_tokenizer.hpp"
#include "pipeline/components/components.hpp"
#include "pipeline/model_fit.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

class T5Prompts final : public PromptReader {
 public:
  T5Prompts(text::T5Tokenizer tokenizer, TokenRows rows)
      : tokenizer_(std::move(tokenizer)), rows_(std::move(rows)) {}

  auto window(std::string_view prompt, Index max_sequence_length) const {
    return tokenizer_.window(prompt, max_sequence_length == 0 ? tokenizer_.length() : max_sequence_length);
  }
  std::string lost(std::string_view prompt, Index max_sequence_length) const override {
    return window(prompt, max_sequence_length).lost;
  }
  void check(std::string_view prompt, const char* what) const override {
    rows_.check(tokenizer_, prompt, what);
  }
  std::optional<text::WindowTokenizer> window_tokenizer(Index max_sequence_length) const override {
    return text::window_tokenizer(tokenizer_,
                                  max_sequence_length == 0 ? tokenizer_.length() : max_sequence_length);
  }

 private:
  text::T5Tokenizer tokenizer_;
  TokenRows rows_;
};

template <class T>
class T5TextEncoder final : public TextEncoder {
 public:
  T5TextEncoder(TextEncoderInfo info, std::string name, models::T5Encoder<T> network,
                std::shared_ptr<const T5Prompts> prompts)
      : info_(std::move(info)),
        name_(std::move(name)),
        network_(std::move(network)),
        prompts_(std::move(prompts)) {}

  const TextEncoderInfo& info() const noexcept override { return info_; }

  Output encode(const ops::Context& context, std::string_view prompt, const Options& options) const override {
    auto window = prompts_->window(prompt, options.max_sequence_length);
    return encode_window(context, {.ids = std::move(window.ids), .padding = window.padding}, options);
  }

  Output encode_window(const ops::Context& context, const Window& window,
                       const Options& options) const override {
    const ops::Profile::Span span(context, ops::Stage::text_encoder);
    if (options.skip != 0 || !options.final_norm)
      throw ArgumentError(pipeline_name, "no layers of " + name_ + ", a T5 encoder, can be left out");
    if (!window.positions.empty() || !window.mask.empty())
      throw ArgumentError(pipeline_name, name_ + ", a T5 encoder, takes neither vectors nor a mask");
    const auto ids = Tensor<std::int32_t>::copy_of({1, static_cast<Index>(window.ids.size())}, window.ids);
    Output result{.states = {}, .pooled = {}, .mask = Tensor<float>::full(ids.shape(), 1.0f)};
    std::fill(result.mask.span().end() - window.padding, result.mask.span().end(), 0.0f);
    result.states = network_(context, ids, options.masks_padding ? &result.mask : nullptr);
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
  models::T5Encoder<T> network_;
  std::shared_ptr<const T5Prompts> prompts_;
};

}  // namespace

Opened<TextEncoder> open_t5_text_encoder(const ComponentSource& network, const ComponentSource& tokenizer,
                                         const LoadContext& context) {
  check_tokenizer_class(tokenizer, "T5Tokenizer");
  const auto config = models::T5EncoderConfig::from(network.config());
  // As for CLIP: the authors' own implementation, or the one that everybody has.
  const auto dialect = context.dialect == text::ClipDialect::openai ? text::T5Dialect::sentencepiece
                                                                    : text::T5Dialect::huggingface;
  const auto words = tokenizer.tokenizer<text::T5Tokenizer>(dialect);
  const TokenRows rows({words.vocabulary_size(), words.source(), config.vocab_size, network.config_path()},
                       std::array<TokenRows::Special, 2>{{{"end", words.end_id()}, {"pad", words.pad_id()}}});
  if (const auto warning = rows.warning()) context.tell(LogLevel::warning, *warning);
  const TextEncoderInfo info{.width = config.d_model,
                             .width_key = "d_model in " + network.config_path(),
                             .most_tokens = words.length() - 1,
                             .takes_length = true};
  const auto prompts = std::make_shared<const T5Prompts>(words, rows);
  return {info,
          [=](const LoadContext& now) {
            return with_precision(now, Role::other,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const TextEncoder> {
                                    return std::make_shared<const T5TextEncoder<T>>(
                                        info, network.name,
                                        load_component<models::T5Encoder<T>>(network, config, own), prompts);
                                  });
          },
          prompts};
}

}  // namespace daguerre
