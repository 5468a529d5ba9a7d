#include "daguerre/pipeline/language_model.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <functional>
#include <map>
#include <span>
#include <utility>

#include "core/attempt.hpp"
#include "core/paths.hpp"
#include "daguerre/config/config.hpp"
#include "daguerre/core/random.hpp"
#include "daguerre/models/language/language_names.hpp"
#include "daguerre/ops/engine_registry.hpp"
#include "daguerre/ops/profile.hpp"
#include "daguerre/text/language_tokenizer.hpp"
#include "pipeline/generated_text.hpp"
#include "pipeline/gguf_language.hpp"
#include "pipeline/gguf_tokenizer.hpp"
#include "pipeline/language_network.hpp"

namespace daguerre {
namespace {

constexpr const char* language_model_who = "language_model";
/// Tokens of a prompt that are read at once: enough for products of many rows, few enough that what lies
/// between them stays small and a wish to stop is heard.
constexpr Index prompt_chunk = 512;

/// What is read of a model before its weights.
struct LanguageParts {
  models::LanguageConfig config;
  weights::StateDict state;
  std::shared_ptr<const text::LanguageTokenizer> tokenizer;
  models::TokenSamplerOptions sampling;
  std::vector<std::int32_t> end_tokens;
  std::function<std::optional<text::ChatTemplate>()> chat_template;
};

void add_end_tokens(std::vector<std::int32_t>& all, std::span<const std::int32_t> more) {
  for (const auto id : more)
    if (std::find(all.begin(), all.end(), id) == all.end()) all.push_back(id);
}

/// generation_config.json. Most of its keys say how the reference searches; those that say how tokens are
/// chosen are read.
void read_generation_config(const std::filesystem::path& path, LanguageParts& parts) {
  parts.sampling.greedy = true;
  if (!path_exists(path)) return;
  const auto config = Config::load(path);
  auto& sampling = parts.sampling;
  sampling.greedy = !config.get("do_sample", false);
  sampling.temperature = config.optional_double("temperature").value_or(1.0);
  // The reference's own default, where a file that samples says nothing.
  sampling.top_k = config.is_null("top_k") ? 0 : config.get("top_k", 50);
  sampling.top_p = config.optional_double("top_p").value_or(1.0);
  sampling.min_p = config.optional_double("min_p").value_or(0.0);
  sampling.typical_p = config.optional_double("typical_p").value_or(1.0);
  sampling.repetition_penalty = config.optional_double("repetition_penalty").value_or(1.0);
  sampling.no_repeat_ngram_size = config.get("no_repeat_ngram_size", 0);
  if (config.is_list("eos_token_id")) {
    const auto ids = config.require_ints("eos_token_id");
    add_end_tokens(parts.end_tokens, std::vector<std::int32_t>(ids.begin(), ids.end()));
  } else if (const auto id = config.optional_int("eos_token_id")) {
    add_end_tokens(parts.end_tokens, std::array{static_cast<std::int32_t>(*id)});
  }
}

LanguageParts open_language_folder(const std::filesystem::path& folder,
                                   const weights::SafetensorsOptions& options) {
  const auto config = Config::load(folder / "config.json");
  LanguageParts parts{models::LanguageConfig::from(config),
                      models::with_language_names(weights::StateDict::load(
                          folder, options, {.library = weights::WeightNames::Library::transformers})),
                      text::load_language_tokenizer(folder),
                      {},
                      {},
                      [folder] { return text::ChatTemplate::find(folder); }};
  parts.end_tokens = parts.config.eos_token_ids;
  read_generation_config(folder / "generation_config.json", parts);
  return parts;
}

LanguageParts open_language_gguf(const std::filesystem::path& path,
                                 const weights::SafetensorsOptions& options) {
  const auto file = weights::GgufFile::open(path, options);
  LanguageParts parts{
      gguf_language_config(file), gguf_language_weights(file), gguf_language_tokenizer(file), {}, {}, {}};
  parts.chat_template = [tokenizer = parts.tokenizer]() -> std::optional<text::ChatTemplate> {
    const auto source = tokenizer->chat_template();
    if (!source) return std::nullopt;
    std::map<std::string, std::string> tokens;
    const auto& special = tokenizer->special_tokens();
    const auto add = [&](const char* name, std::optional<std::int32_t> id) {
      if (id) tokens[name] = tokenizer->token_of(*id).value_or("");
    };
    add("bos_token", special.bos);
    add("eos_token", special.eos);
    add("pad_token", special.pad);
    add("unk_token", special.unknown);
    return text::ChatTemplate(*source, tokenizer->source(), std::move(tokens));
  };
  parts.sampling.greedy = true;
  parts.end_tokens = parts.config.eos_token_ids;
  return parts;
}

/// How the matrices of a model are stored, to judge by one of them.
DType matrix_type(const LanguageParts& parts) {
  const auto* info = parts.state.find("layers.0.mlp.down_proj.weight");
  return info == nullptr ? DType::f32 : info->dtype;
}

/// Decides what is left open: precision and placement.
void settle_language(const LanguageModelOptions& options, const LanguageParts& parts, LoadContext& context) {
  const auto type = matrix_type(parts);
  if (context.precision == Precision::automatic)
    context.precision =
        type == DType::bf16 ? resolved(Precision::automatic, *context.compute.engine) : Precision::float32;
  const bool is_laid_out = context.precision != Precision::float32 && !is_block(type) &&
                           context.compute.engine->name() == "onednn";
  auto placement = ops::WeightPlacement::mapped;
  if (options.weights == WeightStorage::packed ||
      (options.weights == WeightStorage::automatic && (is_laid_out || context.precision == Precision::int8)))
    placement = ops::WeightPlacement::packed;
  context.keeping.placement = placement;
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

std::string_view short_name(FinishReason reason) noexcept {
  constexpr std::array<std::string_view, 6> finish_names{"end_token", "stop_string", "length",
                                                         "context",   "time_limit",  "callback"};
  return finish_names[static_cast<std::size_t>(reason)];
}

struct LanguageModel::State {
  std::shared_ptr<const ops::Engine> engine;
  Threads threads;
  Precision precision = Precision::float32;
  Index max_length = 0;
  models::LanguageConfig config;
  std::shared_ptr<const text::LanguageTokenizer> tokenizer;
  models::TokenSamplerOptions sampling;
  std::vector<std::int32_t> end_tokens;
  std::shared_ptr<const LanguageNetwork> network;
  std::optional<text::ChatTemplate> chat_template;
  std::exception_ptr chat_failure;  ///< why it could not be read

  std::string chat_text(const std::vector<text::ChatMessage>& messages,
                        const text::ChatTemplate::Options& options) const;
  std::vector<std::int32_t> prompt_of(const GenerateRequest& request) const;
};

LanguageModel LanguageModel::load(const std::filesystem::path& path, const LanguageModelOptions& options) {
  return naming(path, [&] {
    if (options.threads < 0 || options.max_length < 0)
      throw ArgumentError(language_model_who, "threads is " + std::to_string(options.threads) +
                                                  ", max_length " + std::to_string(options.max_length));
    const auto registry = options.engines ? *options.engines : ops::EngineRegistry::standard();
    LoadContext context;
    context.compute.engine = registry.make(options.engine);
    context.compute.threads = Threads(options.threads == 0 ? available_threads() : options.threads);
    context.compute.stop = options.stop;
    context.precision = options.precision;
    context.log = options.log;
    const weights::SafetensorsOptions files{.allow_trailing_bytes = options.allow_trailing_bytes,
                                            .threads = context.compute.threads};
    auto parts = is_folder(path) ? open_language_folder(path, files) : open_language_gguf(path, files);
    add_end_tokens(parts.end_tokens, parts.tokenizer->special_tokens().ends);
    parts.sampling.end_tokens = parts.end_tokens;
    settle_language(options, parts, context);
    if (context.keeping.placement == ops::WeightPlacement::mapped) parts.state = with_kept_pages(parts.state);
    const Index known = parts.config.max_position_embeddings;
    if (parts.config.learned_positions && options.max_length > known)
      throw ArgumentError(language_model_who, "max_length is " + std::to_string(options.max_length) +
                                                  ", the model knows " + std::to_string(known) +
                                                  " positions");
    std::optional<text::ChatTemplate> chat_template;
    std::exception_ptr chat_failure;
    try {
      chat_template = parts.chat_template();
    } catch (const Error& error) {  // harms nobody who has no messages
      context.tell(LogLevel::warning, error.what());
      chat_failure = std::current_exception();
    }
    auto network = load_language_network(parts.config, parts.state, context);
    return LanguageModel(std::make_shared<const State>(
        State{context.compute.engine, context.compute.threads, context.precision,
              options.max_length == 0 ? known : options.max_length, std::move(parts.config),
              std::move(parts.tokenizer), std::move(parts.sampling), std::move(parts.end_tokens),
              std::move(network), std::move(chat_template), chat_failure}));
  });
}

Expected<LanguageModel> LanguageModel::try_load(const std::filesystem::path& path,
                                                const LanguageModelOptions& options) noexcept {
  return attempt([&] { return load(path, options); });
}

std::string LanguageModel::State::chat_text(const std::vector<text::ChatMessage>& messages,
                                            const text::ChatTemplate::Options& options) const {
  if (chat_failure) std::rethrow_exception(chat_failure);
  if (!chat_template)
    throw ArgumentError(language_model_who, "the model has no chat template: it continues a prompt");
  return chat_template->render(messages, options);
}

std::vector<std::int32_t> LanguageModel::State::prompt_of(const GenerateRequest& request) const {
  const int given = int{!request.prompt.empty()} + int{!request.messages.empty()} + int{!request.ids.empty()};
  if (given != 1)
    throw ArgumentError(language_model_who, "a request has a prompt, messages or ids, this one has " +
                                                std::string(given == 0 ? "none of them" : "several"));
  if (request.max_new_tokens < 1 || !(request.time_limit >= 0.0))
    throw ArgumentError(language_model_who, "max_new_tokens is " + std::to_string(request.max_new_tokens) +
                                                ", expected 1 or more; time_limit is " +
                                                std::to_string(request.time_limit));
  for (const auto& stop : request.stop)
    if (stop.empty()) throw ArgumentError(language_model_who, "an empty stop string");
  auto ids = request.ids;
  if (!request.prompt.empty()) ids = tokenizer->encode(request.prompt);
  if (!request.messages.empty())  // the template writes what comes before a text
    ids = tokenizer->encode(chat_text(request.messages, request.chat), {.add_special_tokens = false});
  if (ids.empty()) throw ArgumentError(language_model_who, "the prompt has no tokens");
  if (static_cast<Index>(ids.size()) > max_length)
    throw ArgumentError(language_model_who, "the prompt has " + std::to_string(ids.size()) +
                                                " tokens, the model reads " + std::to_string(max_length));
  for (const auto id : ids)
    if (id < 0 || id >= config.vocab_size)
      throw ArgumentError(language_model_who, "token " + std::to_string(id) + ", the vocabulary has " +
                                                  std::to_string(config.vocab_size));
  return ids;
}

GenerateResult LanguageModel::generate(const GenerateRequest& request, const OnText& on_text) const {
  const auto begin = std::chrono::steady_clock::now();
  const auto& state = *state_;
  auto ids = state.prompt_of(request);
  const auto ends = request.end_tokens.value_or(state.end_tokens);
  auto sampling = request.sampling.value_or(state.sampling);
  if (sampling.end_tokens.empty()) sampling.end_tokens = ends;
  const models::TokenSampler sampler(std::move(sampling));
  const ops::Context context{.engine = state.engine,
                             .threads = state.threads,
                             .pool = {},
                             .stop = request.stop_token,
                             .profile = request.profile};
  TorchCpuGenerator random(request.seed);
  GeneratedText text(request.stop);
  const auto decoder = state.tokenizer->decoder(true);
  const bool is_limited = request.time_limit > 0.0;
  const auto is_late = [&] { return is_limited && seconds_since(begin) >= request.time_limit; };

  GenerateResult result;
  result.prompt_tokens = static_cast<Index>(ids.size());
  const Index longest = std::min<Index>(state.max_length, result.prompt_tokens + request.max_new_tokens);
  const auto run = state.network->start(longest);
  Tensor<float> logits;
  for (Index first = 0; first < result.prompt_tokens; first += prompt_chunk) {
    const Index count = std::min(prompt_chunk, result.prompt_tokens - first);
    context.check_stop();
    logits = run->read(
        context, std::span(ids).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)),
        first + count == result.prompt_tokens);
    if (is_late() && first + count < result.prompt_tokens) break;
  }
  result.prompt_seconds = seconds_since(begin);

  const auto tell = [&] {
    const auto piece = text.take();
    return piece.empty() || !on_text || on_text(piece);
  };
  const auto next = [&]() -> std::optional<FinishReason> {
    if (is_late()) return FinishReason::time_limit;
    context.check_stop();
    const double uniform =
        sampler.options().greedy ? 0.0 : static_cast<double>(random.uniform({1}).span().front());
    const auto id = sampler.next(logits.span(), ids, uniform);
    ids.push_back(id);
    result.ids.push_back(id);
    if (std::find(ends.begin(), ends.end(), id) != ends.end()) return FinishReason::end_token;
    decoder->push(id);
    if (text.grow(decoder->settled())) return FinishReason::stop_string;
    if (!tell()) return FinishReason::callback;
    if (static_cast<int>(result.ids.size()) == request.max_new_tokens) return FinishReason::length;
    if (static_cast<Index>(ids.size()) > state.max_length) return FinishReason::context;
    logits = run->read(context, std::span(ids).last(1), true);
    return std::nullopt;
  };
  std::optional<FinishReason> finish;
  while (!finish) finish = next();
  const bool is_told = *finish != FinishReason::callback;
  if (*finish != FinishReason::stop_string && text.grow(decoder->settled() + decoder->unsettled()))
    finish = FinishReason::stop_string;
  text.end();
  if (is_told) tell();
  result.finish = *finish;
  result.text = text.text();
  result.generation_seconds = seconds_since(begin) - result.prompt_seconds;
  return result;
}

Expected<GenerateResult> LanguageModel::try_generate(const GenerateRequest& request,
                                                     const OnText& on_text) const noexcept {
  return attempt([&] { return generate(request, on_text); });
}

bool LanguageModel::has_chat_template() const noexcept {
  return state_->chat_template.has_value() || state_->chat_failure != nullptr;
}
std::string LanguageModel::chat_text(const std::vector<text::ChatMessage>& messages,
                                     const text::ChatTemplate::Options& options) const {
  return state_->chat_text(messages, options);
}
const models::LanguageConfig& LanguageModel::config() const noexcept {
  return state_->config;
}
const text::LanguageTokenizer& LanguageModel::tokenizer() const noexcept {
  return *state_->tokenizer;
}
const models::TokenSamplerOptions& LanguageModel::sampling() const noexcept {
  return state_->sampling;
}
const std::vector<std::int32_t>& LanguageModel::end_tokens() const noexcept {
  return state_->end_tokens;
}
Index LanguageModel::max_length() const noexcept {
  return state_->max_length;
}
Precision LanguageModel::precision() const noexcept {
  return state_->precision;
}

}  // namespace daguerre
