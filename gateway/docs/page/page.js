const ui = SwaggerUIBundle({
  url: new URL("../openapi.json", document.baseURI).href,
  dom_id: "#page",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,  // otherwise the document's address is sent to a service elsewhere
  onComplete: () => { document.title = ui.specSelectors.info().get("title"); },
});
