#include <cmath>
#include <numeric>
#include <utility>

#include <nlohmann/json.hpp>

#include "daguerre/models/language/causal_lm.hpp"
#include "daguerre/models/language/language_names.hpp"
#include "daguerre/models/language/rotary_frequencies.hpp"
#include "daguerre/models/vision_encoders/qwen2_5_vision.hpp"
#include "daguerre/ops/rearrange.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using models::CausalLm;
using models::KeyValueCache;
using models::LanguageConfig;
using nlohmann::json;
using test::expect_error;
using Inputs = models::CausalLmInputs<float>;
using Logits = Inputs::Logits;
using Ids = Tensor<std::int32_t>;

namespace {

LanguageConfig read(const json& config) {
  return LanguageConfig::from(Config::parse(config.dump(), "config.json"));
}

/// A small Llama with what `changes` say.
json small(const json& changes = json::object()) {
  json config{{"model_type", "llama"},    {"vocab_size", 30},
              {"hidden_size", 16},        {"intermediate_size", 24},
              {"num_hidden_layers", 2},   {"num_attention_heads", 4},
              {"num_key_value_heads", 2}, {"max_position_embeddings", 64}};
  config.update(changes);
  return config;
}

/// The model of a recorded case, its weights under the names that `rename` gives them.
struct RecordedModel {
  Config config;
  weights::StateDict state;
  ops::Context context = test::context_for("native");

  explicit RecordedModel(const std::string& name)
      : config(Config::load(test::golden("lm/" + name) / "config.json")),
        state(weights::StateDict::load(test::golden("lm/" + name) / "weights.safetensors")) {}
  CausalLm<float> make(const models::CausalLmOptions& options = {}) const { return make_of(state, options); }
  CausalLm<float> make_of(const weights::StateDict& weights,
                          const models::CausalLmOptions& options = {}) const {
    return {LanguageConfig::from(config), {models::with_language_names(weights), context}, options};
  }
};

Ids counted(Index batch, Index length) {
  Ids ids({batch, length});
  for (Index i = 0; i < ids.size(); ++i) ids.data()[i] = static_cast<std::int32_t>(7 * i % 29);
  return ids;
}

weights::StateDict renamed(const weights::StateDict& state, const std::string& before,
                           const std::string& after) {
  std::vector<weights::RenamedTensor> tensors;
  for (const auto& name : state.names())
    tensors.push_back(
        {.name = name.starts_with(before) ? after + name.substr(before.size()) : name, .source = name});
  return state.renamed(tensors);
}

bool same(const Tensor<float>& a, const Tensor<float>& b) {
  return a.shape() == b.shape() && std::equal(a.span().begin(), a.span().end(), b.span().begin());
}

}  // namespace

TEST_CASE("what a language model's configuration leaves out is transformers' default", "[models][language]") {
  const auto llama = read({{"architectures", {"LlamaForCausalLM"}}});
  CHECK(llama.model_type == "llama");
  CHECK(llama.num_key_value_heads == 32);
  CHECK(llama.head_dim == 128);
  CHECK(llama.rotary.theta == 10000.0);
  CHECK_FALSE(llama.tie_word_embeddings);
  CHECK(read({{"architectures", {"Gemma2ForCausalLM"}}}).model_type == "gemma2");
  const auto mistral = read({{"model_type", "mistral"}});
  CHECK(mistral.num_key_value_heads == 8);
  CHECK(mistral.window(31) == 4096);
  const auto qwen = read({{"model_type", "qwen2"}});
  CHECK(qwen.query_key_value_bias);
  CHECK_FALSE(qwen.attention_output_bias);
  CHECK(qwen.window(0) == 0);
  const auto qwen3 = read({{"model_type", "qwen3"}, {"head_dim", 64}});
  CHECK(qwen3.query_key_norm);
  CHECK(qwen3.attention_scale == 0.125f);
  const auto gemma = read({{"model_type", "gemma3_text"}});
  CHECK(gemma.norms_after);
  CHECK(gemma.query_key_norm);
  CHECK(gemma.tie_word_embeddings);
  CHECK(gemma.window(4) == 4096);
  CHECK(gemma.window(5) == 0);
  CHECK(gemma.window_rotary.value().theta == 10000.0);
  CHECK(gemma.rotary.theta == 1000000.0);
  CHECK(gemma.attention_soft_cap == 0.0f);
  const auto second = read({{"model_type", "gemma2"}});
  CHECK(second.window(0) == 4096);
  CHECK(second.window(1) == 0);
  CHECK(second.attention_soft_cap == 50.0f);
  CHECK(second.logit_soft_cap == 30.0f);
  CHECK(read({{"model_type", "gemma2"}, {"final_logit_softcapping", nullptr}}).logit_soft_cap == 0.0f);
  const auto gpt2 = read({{"model_type", "gpt2"}});
  CHECK(gpt2.intermediate_size == 3072);
  CHECK(gpt2.learned_positions);
  CHECK(gpt2.activation == ops::Activation::gelu_tanh);
}

TEST_CASE("language models' configurations are read as they are written", "[models][language]") {
  const auto tokens = read(small({{"eos_token_id", {2, 5}}, {"bos_token_id", 1}, {"pad_token_id", -1}}));
  CHECK(tokens.eos_token_ids == std::vector<std::int32_t>{2, 5});
  CHECK(tokens.bos_token_id == 1);
  CHECK_FALSE(tokens.pad_token_id);

  const auto yarn = read(small(
      {{"model_type", "qwen2"},
       {"rope_scaling", {{"type", "yarn"}, {"factor", 9.0}, {"original_max_position_embeddings", 16}}}}));
  CHECK(yarn.rotary.factor == 4.0);  // 64 / 16, whatever is written
  CHECK(yarn.rotary.attention_factor == Approx(1.0 + 0.1 * std::log(4.0)));

  // The newest files: what concerns text, parameters for each kind of layers, layers by their types.
  const auto nested =
      read({{"model_type", "gemma3"},
            {"tie_word_embeddings", true},
            {"vision_config", json::object()},
            {"text_config",
             small({{"model_type", "gemma3_text"},
                    {"layer_types", {"full_attention", "sliding_attention"}},
                    {"sliding_window", 8},
                    {"head_dim", 4},
                    {"rope_parameters",
                     {{"full_attention", {{"rope_type", "linear"}, {"factor", 8.0}, {"rope_theta", 5000.0}}},
                      {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 200.0}}}}}})}});
  CHECK(nested.model_type == "gemma3_text");
  CHECK(nested.windows == std::vector<Index>{0, 8});
  CHECK(nested.rotary.theta == 5000.0);
  CHECK(nested.rotary.factor == 8.0);
  CHECK(nested.window_rotary.value().theta == 200.0);
  CHECK(nested.window_rotary.value().scaling == models::RotaryConfig::Scaling::none);
}

TEST_CASE("impossible configurations of language models are refused", "[models][language]") {
  struct Case {
    json changes;
    const char *first, *second = "";
  };
  const std::vector<Case> cases{
      {{{"num_attention_heads", 3}}, "num_attention_heads 3", "hidden_size 16"},
      {{{"num_key_value_heads", 3}}, "num_key_value_heads 3", "num_attention_heads 4"},
      {{{"num_key_value_heads", 0}}, "num_key_value_heads is 0"},
      {{{"vocab_size", 0}}, "vocab_size is 0"},
      {{{"num_hidden_layers", -1}}, "num_hidden_layers is -1"},
      {{{"head_dim", 5}}, "head_dim 5 is odd"},
      {{{"rope_theta", 0.0}}, "rope_theta"},
      {{{"model_type", "mistral"}, {"sliding_window", 0}}, "sliding_window is 0"},
      {{{"rope_scaling", {{"rope_type", "longrope"}, {"factor", 2.0}}}}, "\"longrope\" is none of", "yarn"},
      {{{"rope_scaling", {{"rope_type", "linear"}}}}, "factor is missing"},
      {{{"rope_scaling", {{"rope_type", "linear"}, {"factor", 0.5}}}}, "less than 1"},
      {{{"rope_scaling", {{"type", "mrope"}, {"mrope_section", {1, 1, 1}}}}}, "mrope_section"},
      {{{"rope_scaling", {{"type", "linear"}, {"factor", 2.0}, {"foo", 1}}}}, "foo"},
      {{{"partial_rotary_factor", 0.5}}, "partial_rotary_factor"},
      {{{"model_type", "mamba"}}, "\"mamba\"", "llama, mistral, qwen2"},
      {{{"hidden_act", "geglu"}}, "geglu"},
      {{{"surprise", 1}}, "surprise"},
      {{{"model_type", "qwen3"}, {"use_sliding_window", true}, {"layer_types", {"full_attention"}}},
       "layer_types of 1 layers"},
      {{{"eos_token_id", {1.5}}}, "eos_token_id"}};
  for (const auto& each : cases) {
    INFO(each.changes.dump());
    expect_error<ConfigError>([&] { read(small(each.changes)); }, {each.first, each.second});
  }
  expect_error<ConfigError>([] { read({{"model_type", "gpt2"}, {"n_head", 5}}); }, {"n_head 5", "768"});
}

TEST_CASE("rotary frequencies are stretched as their kind says", "[models][language]") {
  models::RotaryConfig config;
  const auto plain = models::rotary_frequencies(config, 8, 10).of_pairs;
  CHECK(plain.front() == 1.0f);
  CHECK(plain.back() == Approx(1e-3));
  config.scaling = models::RotaryConfig::Scaling::llama3;
  config.factor = 8.0;
  config.original_max_position_embeddings = 1000.0;
  const auto llama3 = models::rotary_frequencies(config, 8, 10).of_pairs;
  CHECK(llama3.front() == 1.0f);               // a wave of 6 positions is kept
  CHECK(llama3.back() == Approx(1e-3 / 8.0));  // one of 6283 is stretched
  CHECK(llama3[2] < plain[2]);                 // one of 628 in part
  CHECK(llama3[2] > plain[2] / 8.0f);
  config.scaling = models::RotaryConfig::Scaling::dynamic;
  CHECK(models::rotary_frequencies(config, 8, 1000).of_pairs == plain);
  CHECK(models::rotary_frequencies(config, 8, 2000).of_pairs.back() < plain.back());
  config = {};
  config.frequency_divisors = {1.0f, 1.0f, 2.0f, 4.0f};
  CHECK(models::rotary_frequencies(config, 8, 10).of_pairs.back() == Approx(2.5e-4));
}

TEST_CASE("a language model's weights are found under any of their names", "[models][language]") {
  const RecordedModel recorded("gemma");
  const auto ids = counted(1, 6);
  const auto expected = recorded.make()(recorded.context, {.input_ids = ids}).logits;
  for (const auto* prefix : {"", "model.language_model.", "language_model.model."}) {
    INFO(prefix);
    const auto lm = recorded.make_of(renamed(recorded.state, "model.", prefix));
    CHECK(same(lm(recorded.context, {.input_ids = ids}).logits, expected));
  }
  const RecordedModel gpt2("gpt2");
  CHECK(same(gpt2.make_of(renamed(gpt2.state, "transformer.", ""))(gpt2.context, {.input_ids = ids}).logits,
             gpt2.make()(gpt2.context, {.input_ids = ids}).logits));
  expect_error<WeightError>([&] { models::with_language_names(renamed(gpt2.state, "transformer.w", "u")); },
                            {"embed_tokens.weight"});
  // Another vocabulary than the configuration's.
  expect_error<WeightError>(
      [&] {
        auto config = LanguageConfig::from(recorded.config);
        config.vocab_size = 100;
        const CausalLm<float> lm(config, {models::with_language_names(recorded.state), recorded.context});
      },
      {"embed_tokens.weight", "180", "100"});
}

TEST_CASE("mapped weights of a language model give what packed ones do", "[models][language]") {
  for (const auto* name : {"gpt2", "qwen3_untied_bf16"}) {
    RecordedModel recorded(name);
    const auto ids = counted(1, 9);
    const auto packed = recorded.make()(recorded.context, {.input_ids = ids}).logits;
    recorded.context.placement = ops::WeightPlacement::mapped;
    CHECK(same(recorded.make()(recorded.context, {.input_ids = ids}).logits, packed));
  }
}

TEST_CASE("a cache may be cut short, copied and filled again", "[models][language]") {
  const RecordedModel recorded("gemma2");  // with windows
  const auto lm = recorded.make();
  const auto& context = recorded.context;
  const auto ids = counted(2, 20);
  const auto piece = [&](Index begin, Index end) {
    Ids part({2, end - begin});
    for (Index n = 0; n < 2; ++n)
      std::copy_n(ids.data() + n * 20 + begin, end - begin, part.data() + n * (end - begin));
    return part;
  };
  KeyValueCache<float> cache(lm.config(), 20);
  lm(context, {.input_ids = piece(0, 12), .cache = &cache});
  CHECK(cache.length() == 12);
  CHECK(cache.bytes() == 4u * 2 * 2 * 20 * 24 * sizeof(float));
  auto copy = cache;
  const auto last = [&](KeyValueCache<float>& into, Index begin, Index end) {
    return lm(context, {.input_ids = piece(begin, end), .cache = &into, .logits = Logits::last}).logits;
  };
  const auto once = last(cache, 12, 15);
  CHECK(once.shape() == Shape{2, 1, 180});
  cache.truncate(12);
  CHECK(same(last(cache, 12, 15), once));
  CHECK(same(last(copy, 12, 15), once));
  CHECK(
      test::difference(once, ops::narrow(context, lm(context, {.input_ids = piece(0, 15)}).logits, 1, 14, 1))
          .rel_l2 < 2e-6);

  expect_error<ArgumentError>([&] { last(cache, 14, 20); }, {"15 tokens", "6 more", "20"});
  CHECK(cache.length() == 15);
  expect_error<ArgumentError>([&] { cache.truncate(16); }, {"16 tokens of 15"});
  expect_error<ArgumentError>([&] { lm(context, {.input_ids = counted(1, 2), .cache = &cache}); },
                              {"1 sequences", "of 2"});
  cache.clear();
  lm(context, {.input_ids = counted(1, 2), .cache = &cache});
  CHECK(cache.length() == 2);
  expect_error<ArgumentError>([&] { KeyValueCache<float>(lm.config(), 0); }, {"a length of 0"});
  expect_error<ArgumentError>(
      [&] {
        lm(context, {.input_ids = counted(1, 2),
                     .attention_mask = Tensor<float>::full({1, 2}, 1.0f),
                     .cache = &cache});
      },
      {"attention_mask [1, 2]", "[1, 4]"});
}

TEST_CASE("a stopped language model leaves its cache as it was", "[models][language]") {
  const RecordedModel recorded("gpt2");
  const auto lm = recorded.make();
  KeyValueCache<float> cache(lm.config(), 30);
  const auto first = counted(1, 8);
  lm(recorded.context, {.input_ids = first, .cache = &cache});
  auto copy = cache;
  std::stop_source source;
  source.request_stop();
  auto stopped = recorded.context;
  stopped.stop = source.get_token();
  CHECK_THROWS_AS(lm(stopped, {.input_ids = counted(1, 3), .cache = &cache}), Cancelled);
  CHECK(cache.length() == 8);
  const auto after = lm(recorded.context, {.input_ids = counted(1, 3), .cache = &cache}).logits;
  CHECK(same(after, lm(recorded.context, {.input_ids = counted(1, 3), .cache = &copy}).logits));
}

TEST_CASE("only the layers that are needed are loaded and run", "[models][language]") {
  const RecordedModel recorded("qwen3_untied_bf16");
  const auto ids = counted(1, 7);
  const auto all = recorded.make()(recorded.context, {.input_ids = ids, .hidden_states = {0, 1, -1}});
  const auto one = recorded.make({.layers = 1});
  CHECK(one.layers() == 1);
  const auto states =
      one(recorded.context, {.input_ids = ids, .logits = Logits::none, .hidden_states = {1, 0}})
          .hidden_states;
  CHECK(same(states[0], all.hidden_states[1]));
  CHECK(same(states[1], all.hidden_states[0]));
  const auto headless = recorded.make({.head = false});
  CHECK(same(headless(recorded.context, {.input_ids = ids, .logits = Logits::none, .hidden_states = {2}})
                 .hidden_states.front(),
             all.hidden_states[2]));
  const auto ask = [&](const CausalLm<float>& lm, Inputs inputs) {
    return [&, inputs] { lm(recorded.context, inputs); };
  };
  expect_error<ArgumentError>(ask(headless, {.input_ids = ids}), {"without its head"});
  expect_error<ArgumentError>(ask(one, {.input_ids = ids, .logits = Logits::none, .hidden_states = {2}}),
                              {"hidden state 2", "1 layers"});
  KeyValueCache<float> cache(one.config(), 9);
  expect_error<ArgumentError>(ask(one, {.input_ids = ids, .cache = &cache, .logits = Logits::none}),
                              {"all 2 layers"});
  expect_error<ArgumentError>([&] { recorded.make({.layers = 3}); }, {"3 layers of 2"});
}

TEST_CASE("what a language model cannot read is refused", "[models][language]") {
  const RecordedModel recorded("gpt2");
  const auto lm = recorded.make();
  const auto ask = [&](Inputs inputs) { return [&, inputs] { lm(recorded.context, inputs); }; };
  expect_error<ArgumentError>(ask({.input_ids = {}}), {"input_ids [0]"});
  expect_error<ArgumentError>(ask({.input_ids = Ids::full({1, 2}, 180)}), {"id 180", "180 rows"});
  expect_error<ArgumentError>(ask({.input_ids = Ids::full({1, 2}, -1)}), {"id -1"});
  expect_error<ArgumentError>(ask({.input_ids = counted(1, 65)}), {"position 64", "0 to 63"});
  expect_error<ArgumentError>(ask({.input_ids = counted(1, 2), .position_ids = Ids::full({1, 3}, 1)}),
                              {"position_ids [1, 3]"});
  expect_error<ArgumentError>(ask({.input_ids = {}, .inputs_embeds = Tensor<float>::zeros({1, 2, 31})}),
                              {"inputs_embeds [1, 2, 31]", "32"});
  expect_error<ArgumentError>(
      ask({.input_ids = counted(1, 2), .attention_mask = Tensor<float>::zeros({2, 2})}), {"attention_mask"});
}

TEST_CASE("an item of a batch is what it is alone", "[models][language]") {
  const RecordedModel recorded("gemma2");
  const auto lm = recorded.make();
  const auto ids = counted(3, 11);
  const auto together = lm(recorded.context, {.input_ids = ids}).logits;
  for (Index n = 0; n < 3; ++n) {
    const auto alone = lm(recorded.context, {.input_ids = ids.slice(n, n + 1)}).logits;
    CHECK(test::difference(together.slice(n, n + 1), alone).rel_l2 < 1e-6);
  }
}

TEST_CASE("pictures have places in a text", "[models][language]") {
  const auto config =
      models::Qwen25VisionConfig::from(Config::load(test::golden("lm/qwen2_5_vl_text") / "config.json"));
  CHECK(config.image_token_id == 195);
  const std::vector<models::PatchGrid> grids{{1, 4, 6}};
  std::vector<std::int32_t> ids{3, 4};
  ids.insert(ids.end(), 6, 195);
  ids.push_back(5);
  const auto positions = models::picture_positions(config, ids, grids);
  CHECK(std::vector<std::int32_t>(positions.span().begin(), positions.span().end()) ==
        std::vector<std::int32_t>{0, 1, 2, 2, 2, 2, 2, 2, 5, 0, 1, 2, 2, 2,
                                  3, 3, 3, 5, 0, 1, 2, 3, 4, 2, 3, 4, 5});
  expect_error<ArgumentError>([&] { models::picture_positions(config, ids, {}); },
                              {"more pictures than the 0"});
  const std::vector<models::PatchGrid> larger{{1, 4, 8}}, odd{{1, 3, 4}}, two{{1, 4, 6}, {1, 4, 6}};
  expect_error<ArgumentError>([&] { models::picture_positions(config, ids, larger); },
                              {"6 tokens", "says 8"});
  expect_error<ArgumentError>([&] { models::picture_positions(config, ids, odd); },
                              {"1 x 3 x 4", "multiples of 2"});
  expect_error<ArgumentError>([&] { models::picture_positions(config, ids, two); },
                              {"1 pictures", "2 are given"});
  const Ids text = Ids::copy_of({1, 9}, ids);
  expect_error<ArgumentError>(
      [&] {
        models::with_pictures({}, Tensor<float>::zeros({1, 9, 32}), text, 195, Tensor<float>::zeros({5, 32}));
      },
      {"[5, 32]", "6 tokens"});
  const RecordedModel recorded("qwen2_5_vl_text");
  const models::Qwen25Vision<float> vision(
      config, nn::Loader{models::with_language_names(recorded.state), recorded.context}.sub("visual"));
  expect_error<ArgumentError>(
      [&] {
        vision(recorded.context, Tensor<float>::zeros({24, 95}), grids);
      },
      {"pixel_values [24, 95]", "[24, 96]"});
  expect_error<ConfigError>(
      [] {
        models::Qwen25VisionConfig::from(
            Config::parse(R"({"vision_config": {"num_heads": 7, "hidden_size": 60}})", "config.json"));
      },
      {"num_heads 7", "60"});
}
