#include "daguerre/pipeline/language_model.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "daguerre/models/language/causal_lm.hpp"
#include "daguerre/text/language_tokenizer.hpp"
#include "daguerre/weights/gguf_writer.hpp"
#include "daguerre/weights/random_tensors.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/scripted_language_model.hpp"

using namespace daguerre;

namespace {

constexpr const char* tiny_language_config = R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"],
  "vocab_size": 264, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
  "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 48, "rms_norm_eps": 1e-5,
  "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": true, "eos_token_id": 256})";

models::LanguageConfig tiny_config() {
  return models::LanguageConfig::from(Config::parse(tiny_language_config, "config.json"));
}

weights::StateDict tiny_weights() {
  return weights::StateDict({std::make_shared<const weights::RandomTensors>(3, DType::f32)}, "random");
}

/// A folder in transformers' layout.
void write_tiny_model(const test::TempFolder& folder) {
  ops::Context context;
  context.engine = ops::make_engine("native");
  const auto state = tiny_weights();
  const models::CausalLm<float> model(tiny_config(), {weights::Scope(state), context});
  weights::SafetensorsWriter writer;
  for (const auto& name : state.names()) writer.add("model." + name, state.tensor(name, state.shape(name)));
  writer.save(folder / "model.safetensors");
  folder.write("config.json", tiny_language_config);
  folder.write("vocab.json", test::byte_vocabulary());
  folder.write("merges.txt", "#version: 0.2\n");
  folder.write("tokenizer_config.json",
               R"({"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|endoftext|>",
                   "bos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"})");
}

std::vector<std::int32_t> bytes_of(const std::string& text) {
  std::vector<std::int32_t> ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

/// The likeliest tokens, all read anew for each.
std::vector<std::int32_t> greedy(std::vector<std::int32_t> ids, int count) {
  ops::Context context;
  context.engine = ops::make_engine("native");
  const models::CausalLm<float> model(tiny_config(), {weights::Scope(tiny_weights()), context});
  std::vector<std::int32_t> result;
  for (int i = 0; i < count; ++i) {
    models::CausalLmInputs<float> inputs;
    inputs.input_ids = Tensor<std::int32_t>({1, static_cast<Index>(ids.size())});
    std::copy(ids.begin(), ids.end(), inputs.input_ids.data());
    inputs.logits = models::CausalLmInputs<float>::Logits::last;
    const auto logits = model(context, inputs).logits;
    result.push_back(models::likeliest_token(logits.span()));
    ids.push_back(result.back());
  }
  return result;
}

}  // namespace

TEST_CASE("a language model continues a text", "[pipeline][language]") {
  const test::TempFolder folder;
  write_tiny_model(folder);
  const std::string prompt = "The lighthouse";
  const auto expected = greedy(bytes_of(prompt), 12);
  for (const auto& engine : ops::engine_names())
    for (const auto weights : {WeightStorage::automatic, WeightStorage::packed}) {
      INFO(engine);
      const auto model = LanguageModel::load(
          folder.path(), {.engine = engine, .precision = Precision::float32, .weights = weights});
      std::string told;
      const auto result =
          model.generate({.prompt = prompt, .max_new_tokens = 12, .end_tokens = std::vector<std::int32_t>()},
                         [&](std::string_view piece) {
                           told += piece;
                           return true;
                         });
      CHECK(result.ids == expected);
      CHECK(result.finish == FinishReason::length);
      CHECK(result.prompt_tokens == static_cast<Index>(prompt.size()));
      CHECK(result.text == told);
      CHECK(result.text == model.tokenizer().decode(expected, true));
    }
  const auto model = LanguageModel::load(folder.path());
  // The token that comes third ends the text where it is asked to.
  const auto third = expected[2];
  const auto first = std::find(expected.begin(), expected.end(), third) - expected.begin();
  const auto ended = model.generate(
      {.prompt = prompt, .max_new_tokens = 12, .end_tokens = std::vector<std::int32_t>{third}});
  CHECK(ended.finish == FinishReason::end_token);
  CHECK(static_cast<std::ptrdiff_t>(ended.ids.size()) == first + 1);
  // Sampled texts are those of their seeds.
  GenerateRequest sampled{.prompt = prompt, .max_new_tokens = 8, .sampling = models::TokenSamplerOptions{}};
  sampled.seed = 7;
  const auto once = model.generate(sampled);
  CHECK(model.generate(sampled).ids == once.ids);
  sampled.seed = 8;
  CHECK(model.generate(sampled).ids != once.ids);
  // No text goes on without end.
  const auto longest = model.generate(
      {.prompt = prompt, .max_new_tokens = 1'000'000, .end_tokens = std::vector<std::int32_t>()});
  CHECK(longest.finish == FinishReason::context);
  CHECK(static_cast<Index>(longest.ids.size()) + longest.prompt_tokens == model.max_length() + 1);
}

TEST_CASE("requests that a language model cannot answer are refused", "[pipeline][language]") {
  const test::TempFolder folder;
  write_tiny_model(folder);
  const auto model = LanguageModel::load(folder.path());
  const auto refused = [&](const GenerateRequest& request, std::initializer_list<std::string_view> parts) {
    test::expect_error<ArgumentError>([&] { (void)model.generate(request); }, parts);
  };
  refused({}, {"language_model", "none of them"});
  refused({.prompt = "a", .ids = {1}}, {"several"});
  refused({.prompt = std::string(49, 'a')}, {"49 tokens", "48"});
  refused({.prompt = "a", .max_new_tokens = 0}, {"max_new_tokens is 0"});
  refused({.prompt = "a", .stop = {""}}, {"empty stop string"});
  refused({.ids = {264}}, {"token 264", "264"});
  refused({.messages = {{"user", "hello"}}}, {"no chat template"});
  std::stop_source source;
  source.request_stop();
  test::expect_error<Cancelled>(
      [&] { (void)model.generate({.prompt = "a", .stop_token = source.get_token()}); }, {"stopped"});
  test::expect_error<ArgumentError>([&] { (void)LanguageModel::load(folder.path(), {.max_length = -1}); },
                                    {"max_length -1"});
}

TEST_CASE("GGUF files of other networks are no language models", "[pipeline][language]") {
  const test::TempFolder folder;
  weights::GgufWriter writer;
  writer.set("general.architecture", std::string("mamba"));
  writer.add("token_embd.weight", Tensor<float>::zeros({4, 32}));
  writer.save(folder / "model.gguf");
  test::expect_error<ConfigError>([&] { (void)LanguageModel::load(folder / "model.gguf"); },
                                  {"mamba", "llama", "gpt2"});
}
