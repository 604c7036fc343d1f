//! The routes of a model in its OpenAPI document, its configuration, and the list of paths.

use serde_json::{Value, json};

use crate::harness::{Server, guest, guest_folder};

#[test]
fn routes_are_described_with_schemas_of_the_metadata() {
    let server = Server::with_models(|models| {
        models.settings(
            "house-price",
            "[[routes]]\npath = '/price/{lotsize}'\nquery = ['bedrooms', { bathrms = 1, stories = 1, \
             driveway = 1, recroom = 0, fullbase = 0, gashw = 0, airco = 0, garagepl = 0, prefarea = 0 }]\n\
             [[routes]]\npath = '/price'\nmethod = 'POST'\nbody = 'json'\nanswer = 'rows'\n\
             outputs = { rent = 'price', unit = { value = 'EUR' } }\nstatus = 202",
        );
        models.copy_folder(&guest_folder("house-price"), "house-price/1");
    })
    .start();
    server.until_ready("house-price", 1);

    let document = server.get("/v2/models/house-price/openapi.json").ok().json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["title"], "house-price");
    let get = &document["paths"]["/price/{lotsize}"]["get"];
    let parameter = |index: usize| &get["parameters"][index];
    let number = json!({ "type": "number" });
    assert_eq!(
        *parameter(0),
        json!({ "name": "lotsize", "in": "path", "required": true, "schema": number })
    );
    assert_eq!(
        *parameter(1),
        json!({ "name": "bedrooms", "in": "query", "required": true, "schema": number })
    );
    let with_default = json!({ "type": "number", "default": 1 });
    assert_eq!(
        *parameter(2),
        json!({ "name": "bathrms", "in": "query", "required": false, "schema": with_default })
    );
    let answer = &get["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(*answer, json!({ "type": "object", "properties": { "price": number } }));

    let post = &document["paths"]["/price"]["post"];
    let body = &post["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(*body, json!({ "$ref": "#/components/schemas/Record" }));
    let body = &document["components"]["schemas"]["Record"];
    assert_eq!(body["properties"]["garagepl"], number);
    assert_eq!(body["required"].as_array().unwrap().len(), 11);
    let answer = &post["responses"]["202"]["content"]["application/json"]["schema"];
    assert_eq!(answer["items"]["properties"]["unit"], json!({ "const": "EUR" }));

    // Every reference has a target.
    for (_, response) in post["responses"].as_object().unwrap() {
        if let Some(reference) = response["$ref"].as_str() {
            assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
        }
    }
    assert_eq!(
        server.config_of("house-price")["wardian"]["routes"],
        json!(["GET /price/{lotsize}", "POST /price"])
    );
    server.get("/v2/models/nobody/openapi.json").refused(404, "model_not_found");
}

#[test]
fn inference_is_described_with_the_types_of_the_metadata() {
    let server = Server::with_models(|models| {
        models.version("iris", 1, guest("iris"));
        models.copy_folder(&guest_folder("house-price"), "house-price/1");
    })
    .start();
    server.until_ready("iris", 1);
    server.until_ready("house-price", 1);

    let iris = server.get("/v2/models/iris/openapi.json").ok().json();
    let schema = |document: &Value, verb: &str, place: &str| {
        let path = format!("/v2/models/{}/{verb}", document["info"]["title"].as_str().unwrap());
        let operation = &document["paths"][&path]["post"];
        let content = operation.pointer(place).unwrap_or_else(|| panic!("{operation}"));
        content["content"]["application/json"]["schema"].clone()
    };

    let request = schema(&iris, "infer", "/requestBody");
    let input = &request["properties"]["inputs"]["items"]["anyOf"][0]["properties"];
    assert_eq!(input["name"], json!({ "const": "measurements" }));
    assert_eq!(input["datatype"], json!({ "const": "FP64" }));
    assert_eq!(input["data"]["items"]["anyOf"][0], json!({ "type": "number" }));
    let answer = schema(&iris, "infer", "/responses/200");
    assert_eq!(answer["properties"]["outputs"]["maxItems"], 2);

    let rows = schema(&iris, "predict", "/responses/200");
    let row = &rows["properties"]["predictions"]["items"];
    assert_eq!(row["properties"]["label"], json!({ "type": "string" }));
    let house_price = server.get("/v2/models/house-price/openapi.json").ok().json();
    let rows = schema(&house_price, "predict", "/responses/200");
    assert_eq!(rows["properties"]["predictions"]["items"], json!({ "type": "number" }));
}
