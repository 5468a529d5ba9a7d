#include "pipeline/gguf_language.hpp"

#include <filesystem>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/models/language/causal_lm.hpp"
#include "daguerre/models/language/language_names.hpp"
#include "daguerre/pipeline/language_model.hpp"
#include "daguerre/text/language_tokenizer.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/gguf_conversion.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

/// The logits of a few tokens, more than windows are wide.
Tensor<float> logits_of(const models::LanguageConfig& config, const weights::StateDict& state) {
  const auto context = test::context_for("native");
  const models::CausalLm<float> model(config, {weights::Scope(state), context});
  models::CausalLmInputs<float> inputs;
  inputs.input_ids = Tensor<std::int32_t>({1, 24});
  for (Index i = 0; i < 24; ++i)
    inputs.input_ids.data()[i] = static_cast<std::int32_t>((7 + 13 * i * i) % 96);
  return model(context, inputs).logits;
}

/// A GGUF file gives the logits of transformers' files with the same numbers.
void check_logits(const TransformersModel& original, const TypeOf& types) {
  const auto model = Conversion(original, types).rounded_model();
  const auto file =
      GgufFile::from_memory(kept(Conversion(model, types).file().to_bytes()), model.type() + ".gguf");
  const auto source = weights::SafetensorsFile::from_memory(kept(model.file().to_bytes()), "safetensors");
  const auto expected = logits_of(model.shape(), models::with_language_names(weights::StateDict({source})));
  const auto state = gguf_language_weights(file);
  const auto actual = logits_of(gguf_language_config(file), state);
  CHECK(test::difference(actual, expected).rel_l2 < 1e-6);
  CHECK(state.unused().empty());
}

json small_gemma3(const json& changes = json::object()) {
  return updated({{"model_type", "gemma3_text"},
                  {"num_hidden_layers", 7},
                  {"head_dim", 32},
                  {"query_pre_attn_scalar", 32},
                  {"sliding_window", 5}},
                 changes);
}

}  // namespace

TEST_CASE("GGUF language models give the logits of the files they were made from", "[pipeline][language]") {
  const auto check = [](const std::string& name, const TransformersModel& model) {
    INFO(name);
    check_logits(model, all_f32);
    check_logits(model, all_q8_0);
  };
  const json plain{{"rope_scaling", nullptr}};
  check("llama", recorded_model("llama_rope_dynamic", plain));
  check("gemma", recorded_model("gemma"));
  // A file does not hold this: it is the width of a head but in the largest models.
  check("gemma2", recorded_model("gemma2", {{"query_pre_attn_scalar", 12}}));
  check("gpt2", recorded_model("gpt2"));
  check("qwen3", recorded_model("qwen3_untied_bf16"));
  check("qwen2", recorded_model("qwen2_5_vl_text", updated(plain, {{"model_type", "qwen2"}})));
  check("gemma3", random_model(small_gemma3()));
  check("gemma3 of pictures",
        random_model(small_gemma3({{"rope_scaling", {{"rope_type", "linear"}, {"factor", 8.0}}}})));
  check("llama linear", random_model({{"rope_scaling", {{"type", "linear"}, {"factor", 2.5}}}}));
  const TransformersModel llama3 = random_model({{"attention_bias", true},
                                                 {"mlp_bias", true},
                                                 {"rope_theta", 500.0},
                                                 {"rope_scaling",
                                                  {{"rope_type", "llama3"},
                                                   {"factor", 8.0},
                                                   {"low_freq_factor", 1.0},
                                                   {"high_freq_factor", 4.0},
                                                   {"original_max_position_embeddings", 32}}}});
  check("llama3", llama3);
  check_logits(llama3, mixture);
  check("yarn",
        random_model({{"model_type", "qwen2"},
                      {"rope_scaling",
                       {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 16}}}}));
}

TEST_CASE("a GGUF file writes what the folder it was made from writes", "[pipeline][language]") {
  struct Case {
    std::string tokenizer, split;
    json config;
    TypeOf types;
  };
  const auto cases = {
      Case{"bpe_smollm2", "smollm", {{"tie_word_embeddings", true}, {"num_hidden_layers", 3}}, all_q8_0},
      Case{"bpe_qwen3", "qwen2", {{"model_type", "qwen3"}, {"head_dim", 32}}, mixture},
      Case{"spbpe_llama2", "", {{"rope_theta", 1000.0}}, all_f32},
      Case{"spbpe_gemma", "", small_gemma3(), all_q8_0},
  };
  for (const auto& each : cases) {
    const auto vocabulary = test::golden("text/" + each.tokenizer);
    const auto tokenizer = text::load_language_tokenizer(vocabulary);
    const auto original =
        random_model(updated(each.config, {{"vocab_size", tokenizer->vocabulary_size()},
                                           {"eos_token_id", tokenizer->special_tokens().eos.value()}}));
    const auto model = Conversion(original, each.types).rounded_model();
    const test::TempFolder folder;
    // A GGUF file of pieces is read as sentencepiece would, who reads a tokenizer.model.
    for (const auto* name :
         {each.split.empty() ? "tokenizer.model" : "tokenizer.json", "tokenizer_config.json"})
      std::filesystem::copy_file(vocabulary / name, folder / name);
    folder.write("config.json", model.config.dump());
    model.file().save(folder / "model.safetensors");
    auto writer = Conversion(model, each.types).file();
    describe_tokenizer(writer, vocabulary, each.split);
    writer.save(folder / "model.gguf");

    const LanguageModelOptions options{.engine = "native", .precision = Precision::float32};
    const auto source = LanguageModel::load(folder.path(), options);
    for (const auto& engine : ops::engine_names())
      for (const auto kept : {WeightStorage::automatic, WeightStorage::packed}) {
        INFO(each.tokenizer << ", " << engine);
        const auto file = LanguageModel::load(
            folder / "model.gguf", {.engine = engine, .precision = Precision::float32, .weights = kept});
        CHECK(file.max_length() == source.max_length());
        CHECK(file.end_tokens() == source.end_tokens());
        for (const std::string prompt : {"The lighthouse keeper's 12 cats", " two  spaces\n\u00e9t\u00e9"}) {
          CHECK(file.tokenizer().encode(prompt) == source.tokenizer().encode(prompt));
          const GenerateRequest request{
              .prompt = prompt, .max_new_tokens = 12, .end_tokens = std::vector<std::int32_t>()};
          const auto written = file.generate(request), expected = source.generate(request);
          CHECK(written.ids == expected.ids);
          CHECK(written.text == expected.text);
        }
        REQUIRE(file.has_chat_template() == source.has_chat_template());
        if (source.has_chat_template())
          CHECK(file.chat_text({{"user", "hello"}}) == source.chat_text({{"user", "hello"}}));
      }
  }
}

TEST_CASE("metadata of language models are read as they are written or refused", "[pipeline][language]") {
  const auto model = random_model(small_gemma3());
  const auto config = [&](const std::function<void(GgufWriter&)>& change) {
    auto writer = Conversion(model, all_f32).file();
    change(writer);
    return gguf_language_config(GgufFile::from_memory(kept(writer.to_bytes()), "m.gguf"));
  };
  const auto usual = config([](GgufWriter&) {});
  CHECK(usual.windows == std::vector<Index>{5, 5, 5, 5, 5, 0, 5});
  CHECK(usual.window_rotary.value().theta == 10000.0);
  CHECK(usual.logit_soft_cap == 0.0f);
  const auto said = config([](GgufWriter& writer) {
    writer.set("gemma3.attention.sliding_window_pattern", std::uint32_t{3});
    writer.set("gemma3.rope.freq_base_swa", 500.0f);
    writer.set("gemma3.final_logit_softcapping", 20.0f);
    writer.set("gemma3.attention.scale", 0.5f);
    writer.set("gemma3.rope.scaling.factor", 0.0f);
  });
  CHECK(said.windows == std::vector<Index>{5, 5, 0, 5, 5, 0, 5});
  CHECK(said.window_rotary.value().theta == 500.0);
  CHECK(said.logit_soft_cap == 20.0f);
  CHECK(said.attention_scale == 0.5f);
  CHECK(said.rotary.scaling == models::RotaryConfig::Scaling::none);
  const auto pattern = [&](std::vector<bool> layers) {
    return config([&](GgufWriter& writer) {
      writer.set("gemma3.attention.sliding_window_pattern", std::move(layers));
    });
  };
  CHECK(pattern({false, true, true, false, true, true, false}).windows ==
        std::vector<Index>{0, 5, 5, 0, 5, 5, 0});
  test::expect_error<FormatError>([&] { pattern({true}); }, {"m.gguf", "sliding_window_pattern", "[true]"});
  const auto refused = [&](const std::string& key, weights::GgufMetadata value,
                           std::initializer_list<std::string_view> parts) {
    test::expect_error<ConfigError>([&] { config([&](GgufWriter& writer) { writer.set(key, value); }); },
                                    parts);
  };
  refused("gemma3.rope.scaling.type", std::string("longrope"), {"m.gguf", "longrope", "yarn"});
  refused("gemma3.rope.dimension_count", std::uint32_t{16}, {"16 of 32 channels"});
}
