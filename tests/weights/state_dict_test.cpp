#include "daguerre/weights/state_dict.hpp"

#include <array>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "daguerre/core/error.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"

using namespace daguerre;
using weights::Scope;
using weights::StateDict;

namespace {

// A file in which every named tensor is [2] with the values 1, 2.
std::string file_with(const std::vector<std::string>& names) {
  weights::SafetensorsWriter writer;
  for (const auto& name : names) {
    auto tensor = Tensor<half>::full({2}, half(1.0f));
    tensor.data()[1] = half(2.0f);
    writer.add(name, tensor);
  }
  const auto bytes = writer.to_bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// An index that maps each tensor to its shard.
std::string index_of(std::initializer_list<std::pair<std::string, std::string>> map) {
  std::string text;
  for (const auto& [tensor, shard] : map)
    text += (text.empty() ? "\"" : ", \"") + tensor + "\": \"" + shard + "\"";
  return R"({"metadata": {"total_size": 8}, "weight_map": {)" + text + "}}";
}

constexpr const char* index_name = "diffusion_pytorch_model.safetensors.index.json";

}  // namespace

TEST_CASE("a state dict hands out float tensors and remembers them", "[weights][state_dict]") {
  const test::TempFolder folder;
  const auto path = folder.write("x.safetensors", file_with({"b", "a", "c"}));
  const auto dict = StateDict::load(path);
  CHECK(dict.source() == path.string());
  CHECK(dict.names() == std::vector<std::string>{"a", "b", "c"});
  CHECK(dict.unused() == dict.names());
  CHECK(dict.contains("a"));
  CHECK_FALSE(dict.contains("d"));
  CHECK(dict.find("a")->dtype == weights::DType::f16);
  CHECK(dict.shape("c") == Shape{2});
  const StateDict copy = dict;
  const auto tensor = copy.tensor("b", {2});
  CHECK(tensor.data()[0] == 1.0f);
  CHECK(tensor.data()[1] == 2.0f);
  CHECK(dict.unused() == std::vector<std::string>{"a", "c"});

  test::expect_error<WeightError>(
      [&] {
        dict.tensor("a", {3, 2});
      },
      {"[weights] " + path.string(), "tensor \"a\" has shape [2]", "the config asks for [3, 2]"});
  CHECK(dict.unused() == std::vector<std::string>{"a", "c"});
}

TEST_CASE("a missing tensor is named with its likely spellings", "[weights][state_dict]") {
  const test::TempFolder folder;
  const auto dict = StateDict::load(folder.write(
      "x.safetensors", file_with({"conv_in.weight", "conv_in.bias", "mid.conv.weight", "unet.conv_out.weight",
                                  "time_embedding.linear_1.weight", "unrelated"})));
  test::expect_error<WeightError>([&] { dict.tensor("conv_inn.weight", {2}); },
                                  {"[weights]",
                                   "x.safetensors: tensor \"conv_inn.weight\" is missing; the nearest "
                                   "there are: \"conv_in.weight\""});
  test::expect_error<WeightError>([&] { dict.tensor("conv_out.weight", {2}); }, {"\"unet.conv_out.weight\""});
  test::expect_error<WeightError>([&] { dict.shape("time_embed.linear_1.weight"); },
                                  {"\"time_embedding.linear_1.weight\""});
  try {
    dict.tensor("quite.something.else", {2});
    FAIL("nothing was thrown");
  } catch (const WeightError& error) {
    CHECK(std::string(error.what()).ends_with("tensor \"quite.something.else\" is missing"));
  }
}

TEST_CASE("scopes put prefixes before names", "[weights][state_dict]") {
  const test::TempFolder folder;
  const Scope root(StateDict::load(folder.write("x.safetensors", file_with({"a.0.to_q.weight", "top"}))));
  const Scope inner = root.sub("a").sub(0).sub("to_q");
  CHECK(root.prefix().empty());
  CHECK(inner.prefix() == "a.0.to_q");
  CHECK(root.contains("top"));
  CHECK(inner.contains("weight"));
  CHECK_FALSE(inner.contains("bias"));
  CHECK(inner.shape("weight") == Shape{2});
  CHECK(inner.tensor("weight", {2}).data()[1] == 2.0f);
  CHECK(root.weights().unused() == std::vector<std::string>{"top"});
  test::expect_error<WeightError>([&] { inner.tensor("bias", {2}); }, {"\"a.0.to_q.bias\" is missing"});
  test::expect_error<WeightError>([&] { inner.shape("bias"); }, {"\"a.0.to_q.bias\" is missing"});
}

TEST_CASE("weights are found in a component's folder", "[weights][state_dict]") {
  const test::TempFolder folder;
  test::expect_error<FileError>(
      [&] { StateDict::load(folder.path()); },
      {folder.path().string(), "looked for diffusion_pytorch_model.safetensors, model."});
  test::expect_error<FileError>([&] { StateDict::load(folder / "none.safetensors"); }, {"none.safetensors"});

  folder.write("pytorch_model.bin", "\x80\x02");
  test::expect_error<FileError>([&] { StateDict::load(folder.path()); },
                                {"pytorch_model.bin is a Python pickle", "weights_only=True", "save_file"});
  test::expect_error<FormatError>([&] { StateDict::load(folder.write("x.ckpt", "PK\x03\x04 and more")); },
                                  {"x.ckpt", "zip archive", "weights_only=True"});

  // From the last choice to the first: each is preferred to those before it.
  for (const std::string name :
       {"model.fp16.safetensors", "diffusion_pytorch_model.fp16.safetensors", "weights.safetensors",
        "model.safetensors", "diffusion_pytorch_model.safetensors"}) {
    folder.write(name, file_with({name}));
    CHECK(StateDict::load(folder.path()).names() == std::vector<std::string>{name});
  }
}

TEST_CASE("each library's names come first for its parts", "[weights][state_dict]") {
  using weights::WeightNames;
  using enum WeightNames::Library;
  const test::TempFolder folder;
  const auto write = [&](const std::string& name) { folder.write(name, file_with({name})); };
  const auto write_index = [&](const std::string& name) {
    write(name + ".shard");
    folder.write(name, index_of({{name + ".shard", name + ".shard"}}));
  };
  const auto found = [&](WeightNames::Library library, bool only = false) {
    return StateDict::load(folder.path(), {}, {library, only}).names().at(0);
  };
  write("diffusion_pytorch_model.safetensors");
  CHECK(found(transformers) == "diffusion_pytorch_model.safetensors");
  test::expect_error<FileError>(
      [&] { found(transformers, true); },
      {"no safetensors file of a usual name",
       "\"diffusion_pytorch_model.safetensors\", which has to be renamed", "looked for model.safetensors"});
  write("model.safetensors");
  CHECK(found(diffusers) == "diffusion_pytorch_model.safetensors");
  CHECK(found(any) == "diffusion_pytorch_model.safetensors");
  CHECK(found(transformers) == "model.safetensors");
  CHECK(found(transformers, true) == "model.safetensors");
  // Where shards and a whole file lie side by side, the libraries choose differently.
  write_index("diffusion_pytorch_model.safetensors.index.json");
  write_index("model.safetensors.index.json");
  CHECK(found(diffusers) == "diffusion_pytorch_model.safetensors.index.json.shard");
  CHECK(found(transformers) == "model.safetensors");
}

TEST_CASE("variants are taken where there is nothing else", "[weights][state_dict]") {
  const test::TempFolder folder;
  folder.write("diffusion_pytorch_model.non_ema.safetensors", file_with({"non_ema"}));
  const auto found = [&] { return StateDict::load(folder.path()).names().at(0); };
  // Another model, not another form of this one.
  test::expect_error<FileError>([&] { found(); },
                                {"\"diffusion_pytorch_model.non_ema.safetensors\", which has to be renamed"});
  // Each is preferred to those before it.
  for (const auto* variant : {"fp32", "bf16", "fp16"}) {
    const std::string v(variant), base = "diffusion_pytorch_model";
    for (const std::string& name :
         {base + "." + v + ".safetensors.index.json", base + ".safetensors." + v + ".index.json",
          base + ".safetensors.index." + v + ".json"}) {
      INFO(name);
      folder.write(v + ".shard", file_with({name}));
      folder.write(name, index_of({{name, v + ".shard"}}));
      CHECK(found() == name);
    }
  }
  folder.write("diffusion_pytorch_model.safetensors", file_with({"plain"}));
  CHECK(found() == "plain");
}

TEST_CASE("a variant that is asked for is taken, and nothing else", "[weights][state_dict]") {
  using weights::WeightNames;
  using enum WeightNames::Library;
  const test::TempFolder folder;
  const auto names = [](const std::string& variant, WeightNames::Library library = any) {
    return WeightNames{library, false, variant};
  };
  const auto found = [&](const WeightNames& of) {
    return StateDict::load(folder.path(), {}, of).names().at(0);
  };
  folder.write("diffusion_pytorch_model.safetensors", file_with({"plain"}));
  CHECK_FALSE(StateDict::is_there(folder.path(), names("fp16")));
  CHECK(StateDict::is_there(folder.path(), names("")));
  test::expect_error<FileError>(
      [&] { found(names("fp16")); },
      {"looked for diffusion_pytorch_model.fp16.safetensors", "model.fp16.safetensors"});
  folder.write("fp16/model.safetensors", file_with({"folder"}));
  CHECK(found(names("fp16")) == "folder");
  folder.write("model.fp16.safetensors", file_with({"model"}));
  CHECK(found(names("fp16")) == "model");
  folder.write("diffusion_pytorch_model.fp16.safetensors", file_with({"diffusers"}));
  CHECK(found(names("fp16")) == "diffusers");
  CHECK(found(names("fp16", transformers)) == "model");
  CHECK(found(names("")) == "plain");
  folder.write("shard", file_with({"sharded"}));
  for (const auto* index : {"diffusion_pytorch_model.fp16.safetensors.index.json",
                            "diffusion_pytorch_model.safetensors.index.fp16.json"}) {
    folder.write(index, index_of({{"sharded", "shard"}}));
    CHECK(found(names("fp16")) == "sharded");
    std::filesystem::remove(folder / index);
  }
  // Others than the usual ones too, if they are asked for.
  folder.write("model.non_ema.safetensors", file_with({"non_ema"}));
  CHECK(found(names("non_ema")) == "non_ema");
  for (const auto* odd : {"../x", "a/b", ".."})
    test::expect_error<ArgumentError>([&, v = odd] { found(names(v)); }, {odd});
}

TEST_CASE("weights in other forms are named", "[weights][state_dict]") {
  for (const auto& [name, parts] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"diffusion_pytorch_model.bin", {"is a Python pickle", "weights_only=True"}},
           {"pytorch_model.bin", {"is a Python pickle", "weights_only=True"}},
           {"diffusion_flax_model.msgpack", {"is Flax's", "save_pretrained"}},
           {"tf_model.h5", {"is TensorFlow's", "save_pretrained"}},
           {"model.onnx", {"is an ONNX graph", "save_pretrained"}}}) {
    const test::TempFolder folder;
    folder.write(name, "\x80\x02");
    for (const auto& part : parts)
      test::expect_error<FileError>([&] { StateDict::load(folder.path()); },
                                    {"no safetensors file found", name, part});
  }
}

TEST_CASE("sharded weights are one state dict", "[weights][state_dict]") {
  const test::TempFolder folder;
  folder.write("s-1.safetensors", file_with({"a", "b"}));
  folder.write("s-2.safetensors", file_with({"c", "extra"}));
  const auto index = folder.write(
      index_name, index_of({{"a", "s-1.safetensors"}, {"b", "s-1.safetensors"}, {"c", "s-2.safetensors"}}));
  for (const auto& path : {index, folder.path()}) {
    const auto dict = StateDict::load(path);
    CHECK(dict.source() == path.string());
    CHECK(dict.names() == std::vector<std::string>{"a", "b", "c", "extra"});
    CHECK(dict.tensor("c", {2}).data()[1] == 2.0f);
    test::expect_error<WeightError>([&] { dict.tensor("c", {1}); },
                                    {"s-2.safetensors: tensor \"c\" has shape [2]"});
  }

  SECTION("a missing shard") {
    std::filesystem::remove(folder / "s-2.safetensors");
    test::expect_error<FileError>([&] { StateDict::load(folder.path()); }, {"s-2.safetensors"});
  }
  SECTION("a tensor that its shard lacks") {
    folder.write(index_name, index_of({{"a", "s-1.safetensors"}, {"c", "s-1.safetensors"}}));
    test::expect_error<WeightError>([&] { StateDict::load(folder.path()); },
                                    {"s-1.safetensors: tensor \"c\" is missing", index_name});
  }
  SECTION("a tensor in two shards") {
    folder.write("s-2.safetensors", file_with({"c", "a"}));
    test::expect_error<FormatError>([&] { StateDict::load(folder.path()); },
                                    {"tensor \"a\" is in", "s-1.safetensors", "s-2.safetensors"});
  }
  SECTION("a shard outside the folder") {
    const auto outside = folder.write("out/x.safetensors", file_with({"a"}));
    for (const std::string& shard : {std::string("../s-1.safetensors"), std::string("out/x.safetensors"),
                                     outside.string(), std::string(".."), std::string(),
                                     std::string("out\\\\x.safetensors"), std::string("c:x.safetensors")}) {
      folder.write(index_name, index_of({{"a", shard}}));
      test::expect_error<FormatError>([&] { StateDict::load(folder.path()); },
                                      {"shard \"", "must be the name of a file in the same folder"});
    }
  }
  SECTION("a malformed index") {
    const auto refused = [&](std::string_view text, std::string_view part) {
      folder.write(index_name, text);
      test::expect_error<FormatError>([&] { StateDict::load(folder.path()); }, {index_name, part});
    };
    refused("[]", "weight_map");
    refused("{}", "weight_map");
    refused(R"({"weight_map": []})", "weight_map");
    refused(R"({"weight_map": {}})", "weight_map");
    refused(R"({"weight_map": {"a": 3}})", "the shard of tensor \"a\" must be a string");
    refused(R"({"weight_map": {"a": "x", "a": "y"}})", "duplicate key \"a\"");
    refused(R"({"weight_map": {"a": )" + std::string(1'000'000, '['), "nested deeper");
  }
}

TEST_CASE("trailing bytes are refused unless the option allows them", "[weights][state_dict]") {
  const test::TempFolder folder;
  const auto path = folder.write("model.safetensors", file_with({"a"}) + "tail");
  test::expect_error<FormatError>([&] { StateDict::load(path); }, {"4 bytes follow the last tensor"});
  CHECK(StateDict::load(folder.path(), {.allow_trailing_bytes = true}).contains("a"));
}

TEST_CASE("copies of a state dict may be used from several threads", "[weights][state_dict]") {
  std::vector<std::string> names;
  for (int i = 0; i < 200; ++i) names.push_back(std::string("t").append(std::to_string(i)));
  const test::TempFolder folder;
  const auto dict = StateDict::load(folder.write("x.safetensors", file_with(names)));
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([copy = dict, &names, t] {
      for (std::size_t i = 1 + t; i < names.size(); i += 4) copy.tensor(names[i], {2});
    });
  for (auto& thread : threads) thread.join();
  CHECK(dict.unused() == std::vector<std::string>{"t0"});
}

TEST_CASE("a state dict hands out weights as they are stored", "[weights][state_dict]") {
  const test::TempFolder folder;
  const auto path = folder.write("x.safetensors", file_with({"b", "a"}));
  auto dict = std::make_unique<StateDict>(StateDict::load(path));
  const auto source = Scope(*dict).weight("b", {2});
  CHECK(dict->unused() == std::vector<std::string>{"a"});
  CHECK(source.dtype == DType::f16);
  CHECK(source.shape == Shape{2});
  CHECK(source.bytes.size() == 4);
  test::expect_error<WeightError>(
      [&] {
        dict->weight("a", {1, 2});
      },
      {"tensor \"a\" has shape [2]", "the config asks for [1, 2]"});
  test::expect_error<WeightError>([&] { dict->weight("c", {2}); }, {"\"c\" is missing"});

  // It keeps the file, and pages that were given up come back.
  dict->release_pages();
  dict.reset();
  const ops::Weight weight(source);
  std::array<float, 2> values{};
  weight.read(0, 2, values.data());
  CHECK(values == std::array{1.0f, 2.0f});
  weight.release();
  weight.read(0, 1, values.data() + 1);
  CHECK(values == std::array{1.0f, 1.0f});
}

TEST_CASE("rows of a renamed tensor are handed out as weights, too", "[weights][state_dict]") {
  weights::SafetensorsWriter writer;
  writer.add("qkv", Tensor<bfloat16>::copy_of(
                        {3, 2}, std::vector<bfloat16>{bfloat16(1.0f), bfloat16(2.0f), bfloat16(3.0f),
                                                      bfloat16(4.0f), bfloat16(5.0f), bfloat16(6.0f)}));
  const auto bytes = std::make_shared<const std::vector<std::byte>>(writer.to_bytes());
  const StateDict whole({weights::SafetensorsFile::from_memory(bytes, "memory")});
  const auto parts = whole.renamed({{.name = "k", .source = "qkv", .first_row = 1, .rows = 1}});
  std::array<float, 2> row{};
  ops::Weight(parts.weight("k", {1, 2})).read(0, 1, row.data());
  CHECK(row == std::array{3.0f, 4.0f});
}

TEST_CASE("the tensors of two sets of files are joined", "[weights][state_dict]") {
  const auto one = [](const std::string& name, float value) {
    weights::SafetensorsWriter writer;
    writer.add(name, Tensor<float>::full({2}, value));
    auto bytes = std::make_shared<const std::vector<std::byte>>(writer.to_bytes());
    return StateDict({weights::SafetensorsFile::from_memory(std::move(bytes), "file of " + name)});
  };
  const auto both = one("a", 1.0f).renamed({{"first", "a"}}).joined(one("b", 2.0f));
  CHECK(both.names() == std::vector<std::string>{"b", "first"});
  CHECK(both.tensor("first", {2}).data()[1] == 1.0f);
  CHECK(both.tensor("b", {2}).data()[1] == 2.0f);
  CHECK(both.source() == "file of a");
  CHECK(both.source_name("first") == "a");
  test::expect_error<FormatError>([&] { both.joined(one("b", 3.0f)); }, {"\"b\"", "in both files"});
}
